import CStorage
import Glibc

/// A staged volume of a `dir` pool.
final class DirStagedVolume: StagedVolume, @unchecked Sendable {
    let container: String
    private let live: String
    private let place: StagingPlace
    private let reaper: Reaper
    private let lock = Lock()
    private var isSwapped = false
    private var hasEnded = false

    init(container: String, live: String, place: StagingPlace, reaper: Reaper) {
        self.reaper = reaper
        self.container = container
        self.live = live
        self.place = place
    }

    var directory: String { lock.with { isSwapped ? live : place.volume } }

    var rootfs: String { directory + "/rootfs" }

    func swap() async throws {
        try lock.with {
            if hasEnded {
                throw StorageError(.ended, "the staged volume of container \(container) is gone already")
            }
            // Two renames of one call: never a moment without a volume of that name.
            let result = cstorage_exchange(place.volume, live)
            if result < 0 {
                let failure = FileFailure("exchange", live, result)
                throw StorageError(
                    .system,
                    "cannot put the staged volume in the place of container \(container)'s: \(failure)",
                    errno: failure.errno)
            }
            isSwapped.toggle()
        }
    }

    func discard() async {
        let isFirst = lock.with {
            defer { hasEnded = true }
            return !hasEnded
        }
        if isFirst { reaper.remove(place.abandoned()) }
    }
}
