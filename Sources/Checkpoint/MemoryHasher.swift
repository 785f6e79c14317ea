import Dispatch
import Glibc
import LinuxSystem
import Synchronization

/// Sums up the memory pages while CRIU writes them, so that nobody waits for that afterwards.
///
/// CRIU writes `pages-1.img`, `pages-2.img` and so on, one after the other, and each from front to end.
final class MemoryHasher: Sendable {
    private let directory: String
    private let finished = DispatchSemaphore(value: 0)
    private let stopped = Atomic(false)
    private let task: Mutex<Task<[String: Manifest.Entry], any Error>?>

    /// Begins to follow the images in a checkpoint's directory, which need not be there yet.
    init(directory: String) {
        self.directory = directory
        task = Mutex(nil)
        task.withLock {
            $0 = Task { [self] in try await onThread { try OwnThread.run { try self.follow() } } }
        }
    }

    /// The sums of all files, now that they are complete. Those that cannot be told are left out.
    func sums() async -> [String: Manifest.Entry] {
        stop()
        return (try? await task.withLock { $0 }?.value) ?? [:]
    }

    /// Gives up.
    func stop() {
        stopped.store(true, ordering: .releasing)
        finished.signal()
    }

    private func follow() throws -> [String: Manifest.Entry] {
        Self.giveWay()
        var sums: [String: Manifest.Entry] = [:]
        var rooms: [RoomAhead] = []
        // Not before CRIU has ended: then no file grows any more.
        defer { for room in rooms { room.giveBack() } }
        for number in 1... {
            let name = "images/pages-\(number).img"
            while !Files.exists("\(directory)/\(name)") {
                if stopped.load(ordering: .acquiring) { return sums }
                pause()
            }
            sums[name] = try sum(name, next: "\(directory)/images/pages-\(number + 1).img", &rooms)
        }
        return sums
    }

    /// Reads a file until it is complete: when CRIU has begun the next one, or has ended.
    private func sum(_ name: String, next: String, _ rooms: inout [RoomAhead]) throws -> Manifest.Entry {
        let file = try FileDescriptor.open("\(directory)/\(name)", O_RDWR | O_NOFOLLOW)
        let sums = PieceSums(file)
        let room = RoomAhead(file)
        if let room { rooms.append(room) }
        let isComplete = { @Sendable [self] in
            if stopped.load(ordering: .acquiring) || Files.exists(next) { return true }
            room?.reserve()
            return false
        }
        // One more, for what CRIU leaves of the processors; both of them when it has ended.
        let helper = try OwnThread.start { [self] in
            Self.giveWay()
            try sums.work(isComplete: isComplete, pause: pause)
        }
        let own = Result { try sums.work(isComplete: isComplete, pause: pause) }
        try helper.wait()
        try own.get()
        return sums.entry
    }

    /// Not while CRIU wants the processor: the tasks stand still for CRIU, not for this.
    private static func giveWay() {
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
    }

    /// Waits for more: nobody announces it, but the end is.
    private func pause() {
        _ = finished.wait(timeout: .now() + .milliseconds(2))
    }
}
