import CLinux
import Glibc
import LinuxSystem

/// What a monitor does for a container that has just been restored: repeats the announcement of its addresses, and
/// watches its memory come.
final class MonitorArrival {
    private var announcement: AddressAnnouncement?
    private var repeats = 3
    /// Ready when it is time to announce; nil when that is done.
    private(set) var timer: FileDescriptor?
    private var memoryPID: pid_t
    private var holds: MemoryHolds
    private var waiting: [FileDescriptor] = []
    private var loss: String?
    private let name: String

    /// Takes over the descriptors of a plan.
    init(_ plan: MonitorPlan) {
        name = plan.name
        memoryPID = plan.memoryPID
        holds = MemoryHolds(plan.memoryHolds.map(Self.inherited))
        let entries = plan.announcements.map {
            AddressAnnouncement.Entry(socket: Self.inherited($0.socket), frames: $0.frames)
        }
        guard !entries.isEmpty else { return }
        announcement = AddressAnnouncement(entries)
        let number = apus_timer(250, 350)
        if number >= 0 { timer = FileDescriptor(owning: number) }
    }

    private static func inherited(_ number: Int32) -> FileDescriptor {
        _ = fcntl(number, F_SETFD, FD_CLOEXEC)
        return FileDescriptor(owning: number)
    }

    /// Announces once more.
    func announce() {
        _ = try? timer?.read(upTo: 8)
        announcement?.send()
        repeats -= 1
        guard repeats <= 0 else { return }
        timer = nil
        announcement = nil
    }

    /// How long the monitor may sleep, in milliseconds; -1: as long as nothing happens.
    var patience: Int32 { memoryPID == 0 ? -1 : MemoryHolds.interval }

    /// What is to be done each time that the monitor is awake.
    func attend() {
        if memoryPID != 0 { holds.follow(memoryPID) }
    }

    /// A child has ended. True if it was the one that brings memory.
    func ended(_ pid: pid_t, _ status: ExitStatus) -> Bool {
        guard memoryPID != 0, pid == memoryPID else { return false }
        memoryPID = 0
        if status.isSuccess {
            holds = MemoryHolds([])
        } else {
            loss =
                "container \(name) has lost its memory: the machine it came from is gone, or the way to it, "
                + "before all of it had come. It cannot go on"
        }
        for connection in waiting { answer(connection) }
        waiting = []
        return true
    }

    /// Why the container cannot go on, if it cannot.
    var reasonToEnd: String? { loss }

    /// Answers when all memory is there, or never will be.
    func answerWhenComplete(_ connection: FileDescriptor) {
        if memoryPID == 0 { answer(connection) } else { waiting.append(connection) }
    }

    /// The container has ended: nobody needs its memory any more.
    func end() {
        if memoryPID != 0 {
            _ = kill(memoryPID, SIGKILL)
            var status: Int32 = 0
            while waitpid(memoryPID, &status, 0) < 0, errno == EINTR {}
            memoryPID = 0
            loss = loss ?? "container \(name) ended before all of its memory had come"
        }
        for connection in waiting { answer(connection) }
        waiting = []
        holds = MemoryHolds([])
    }

    private func answer(_ connection: FileDescriptor) {
        let reply = loss.map { ControlReply.failed($0) } ?? .done
        try? WireSocket.send(reply.encoded(), on: connection, wait: false)
    }
}
