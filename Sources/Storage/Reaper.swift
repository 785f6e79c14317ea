import Synchronization

/// Removes the files of volumes that have lost their names already, one volume after the other, in the
/// background: who deletes a container need not wait for ten thousand unlinks.
final class Reaper: Sendable {
    private let last = Mutex<Task<Void, Never>?>(nil)
    private let waiting = Atomic(0)

    /// Whether there is something left to remove.
    var isBusy: Bool { waiting.load(ordering: .acquiring) > 0 }

    /// Removes a place when those before it are gone.
    func remove(_ place: StagingPlace) {
        waiting.add(1, ordering: .acquiringAndReleasing)
        last.withLock { last in
            let previous = last
            last = Task.detached(priority: .utility) {
                await previous?.value
                await place.discard()
                self.waiting.subtract(1, ordering: .acquiringAndReleasing)
            }
        }
    }

    /// Waits until all is gone that was to be removed up to now.
    func settle() async {
        await last.withLock { $0 }?.value
    }
}
