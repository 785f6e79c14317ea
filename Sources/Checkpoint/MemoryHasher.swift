import Dispatch
import Glibc
import LinuxSystem
import Synchronization

/// Sums up the memory pages while CRIU writes them, so that nobody waits for that afterwards.
final class MemoryHasher: Sendable {
    private let path: String
    private let finished = DispatchSemaphore(value: 0)
    private let stopped = Atomic(false)
    private let task: Mutex<Task<Manifest.Entry, any Error>?>

    /// The file CRIU writes the memory of all tasks into, one page after the other.
    static let file = "images/pages-1.img"

    /// Begins to follow the file in a checkpoint's directory, which need not be there yet.
    init(directory: String) {
        path = "\(directory)/\(Self.file)"
        task = Mutex(nil)
        task.withLock { $0 = Task { [self] in try await onThread { try self.follow() } } }
    }

    /// The sum of the whole file, now that it is complete; nil if it cannot be told.
    func sum() async -> Manifest.Entry? {
        stop()
        return try? await task.withLock { $0 }?.value
    }

    /// Gives up.
    func stop() {
        stopped.store(true, ordering: .releasing)
        finished.signal()
    }

    private func follow() throws -> Manifest.Entry {
        while !Files.exists(path), !stopped.load(ordering: .acquiring) { pause() }
        let file = try FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW)
        var summing = Manifest.Summing()
        while true {
            // Asked before reading: what is written up to then is read for certain.
            let isComplete = stopped.load(ordering: .acquiring)
            if try summing.read(file) > 0 { continue }
            if isComplete { return summing.entry() }
            pause()
        }
    }

    /// Waits for more: nobody announces it, but the end is.
    private func pause() {
        _ = finished.wait(timeout: .now() + .milliseconds(2))
    }
}
