import CLinux
import CRIU
import Glibc
import LinuxSystem

/// What a restore does at each of CRIU's notifications.
struct RestoreSteps {
    let record: CheckpointRecord
    let cgroups: RestoreCgroups
    let criu: pid_t
    let network: RestoreNetwork
    let memory: LazyMemory?
    /// Tells neighbours where the container is now.
    private(set) var announcement: AddressAnnouncement?
    private(set) var initPID: Int32 = 0
    private(set) var console: FileDescriptor?
    /// Whether the processes run, and nothing of it can be taken back.
    private(set) var isRunning = false

    init(
        record: CheckpointRecord, cgroups: RestoreCgroups, criu: pid_t, spec: ContainerSpec,
        memory: LazyMemory?
    ) {
        network = RestoreNetwork(
            record: record, interfaces: spec.interfaces, runtimeDirectory: spec.runtimeDirectory)
        self.memory = memory
        self.record = record
        self.cgroups = cgroups
        self.criu = criu
    }

    /// Serves one notification; `hold` is called when the processes stand ready, `reachable` when packets can come.
    mutating func handle(
        _ notification: CRIUNotification, hold: (Int32) throws -> Void, reachable: () -> Void
    ) throws {
        switch notification.moment {
        case .setupNamespaces:
            // The notification before resume tells no number: remember this one.
            initPID = notification.pid ?? 0
            if record.emptyNetwork { announcement = try network.configure(initPID) }
        case .orphanTerminalMaster:
            if let descriptor = notification.descriptor { keepIfConsole(FileDescriptor(owning: descriptor)) }
        case .preResume:
            do {
                try beforeResume()
                try hold(initPID)
                try memory?.check()
                try network.connect(initPID)
                announcement?.send()
                reachable()
            } catch {
                // CRIU resumes the processes whatever we answer here: they must be dead by then. It goes with them:
                // it would wait for init, which waits for the others to be reaped, which only their tracer can do.
                if initPID > 0 { _ = kill(initPID, SIGKILL) }
                _ = kill(criu, SIGKILL)
                throw error
            }
        // CRIU has let go of them all; that it still has to tidy up and to end does not concern them.
        case .postResume: try letRun()
        default: break
        }
    }

    /// Lets the processes run.
    mutating func letRun() throws {
        guard !isRunning else { return }
        try cgroups.release()
        isRunning = true
    }

    /// Ends what was restored and waits for its end. Init is our child (CRIU may have killed it already), and the end
    /// of a process namespace's init is the end of all in it.
    func endProcesses() {
        guard initPID > 0, let process = try? ProcessDescriptor(pid: initPID) else { return }
        process.signal(SIGKILL)
        _ = try? process.waitBlocking()
    }

    /// The console is the first terminal of the container's devpts. Masters of others belonged to sessions
    /// that are gone: closed, their programs see a hang-up.
    private mutating func keepIfConsole(_ master: FileDescriptor) {
        if apus_pty_number(master.rawValue) == 0 { console = master }
    }

    private func beforeResume() throws {
        let processes = cgroups.restoredProcesses(except: criu)
        try cgroups.place(processes)
        RestoreTasks.replay(record, on: processes)
        try cgroups.hold(except: criu)
        try memory?.hold()
    }
}
