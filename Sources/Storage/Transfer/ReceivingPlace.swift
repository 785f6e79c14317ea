import CStorage
import Glibc
import LinuxSystem
import Synchronization

/// Where a volume is received: it has no name yet.
protocol ReceivingPlace: Sendable {
    /// The volume's directory.
    var directory: String { get }
    /// Whether something is in it from the start, of which only the differences are to be sent.
    var hasContent: Bool { get }
    /// Gives it its name.
    func install() async throws
    /// Gives it up.
    func discard() async
}

extension ReceivingPlace {
    /// Writes the files to disk.
    func flush() async throws {
        let directory = directory
        try await Blocking.run {
            let root = try TreeCopier.open(directory)
            defer { close(root) }
            try checked(cstorage_syncfs(root), "write to disk", directory)
        }
    }
}

/// A new volume, made by the pool's own way: its `create` waits while the files come.
final class NewPlace: ReceivingPlace {
    let hasContent: Bool
    private let path: Mutex<String>
    private let installed: String
    private let verdict: Verdict
    private let creation: Task<Void, any Error>

    /// What ends the wait of `create`.
    private final class Verdict: Sendable {
        private let stream = AsyncStream<Bool>.makeStream()

        func give(_ isGood: Bool) {
            stream.continuation.yield(isGood)
            stream.continuation.finish()
        }

        func awaited() async -> Bool {
            for await verdict in stream.stream { return verdict }
            return false
        }
    }

    private struct GivenUp: Error {}

    var directory: String { path.withLock { $0 } }

    private init(
        directory: String, installed: String, hasContent: Bool, verdict: Verdict,
        creation: Task<Void, any Error>
    ) {
        path = Mutex(directory)
        self.installed = installed
        self.hasContent = hasContent
        self.verdict = verdict
        self.creation = creation
    }

    /// Begins a volume; with `base` it has the files of that volume from the start.
    static func begin(_ volume: Volume, in pool: any StorageDriver, base: Volume?) async throws -> NewPlace {
        let opened = AsyncStream<String>.makeStream()
        let verdict = Verdict()
        let creation = Task {
            defer { opened.continuation.finish() }
            try await pool.create(volume) { directory in
                if let base {
                    try await Blocking.run {
                        _ = try TreeCopier.copy(pool.directory(of: base), to: directory)
                    }
                }
                opened.continuation.yield(directory)
                guard await verdict.awaited() else { throw GivenUp() }
            }
        }
        for await directory in opened.stream {
            return NewPlace(
                directory: directory, installed: pool.directory(of: volume), hasContent: base != nil,
                verdict: verdict, creation: creation)
        }
        try await creation.value
        throw StorageError(.ended, "cannot receive \(volume): its place was given up")
    }

    func install() async throws {
        verdict.give(true)
        try await creation.value
        path.withLock { $0 = installed }
    }

    func discard() async {
        verdict.give(false)
        _ = try? await creation.value
    }
}

/// A copy of a container's volume, brought up to date, that takes its place.
struct RefreshedPlace: ReceivingPlace {
    let staged: any StagedVolume
    let hasContent = true
    var directory: String { staged.directory }

    func install() async throws {
        do {
            try await staged.swap()
        } catch {
            await staged.discard()
            throw error
        }
        await staged.discard()
    }

    func discard() async { await staged.discard() }
}
