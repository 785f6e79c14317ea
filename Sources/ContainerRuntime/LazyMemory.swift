import CRIU
import Glibc
import LinuxSystem

/// The memory of a restored container that comes after it, from the machine it has left.
///
/// CRIU's daemon brings it. Should that end too early, the kernel would give the processes zeros where pages are missing;
/// so the descriptors by which pages are filled are held here as well: whoever misses one waits, until the container is
/// ended.
final class LazyMemory {
    private let daemon: CRIULazyPages
    /// What holds processes back that miss a page.
    private(set) var holds: [FileDescriptor] = []
    /// Where CRIU's daemon and its restore find each other, and write their logs.
    let workDirectory: String
    private let tuning: HostTuning

    private static let logName = "lazy-pages.log"

    /// Starts the daemon; a restore can begin then. `pages` leads to the machine that has the memory.
    init(_ spec: ContainerSpec, images: String, pages: FileDescriptor) throws {
        guard let tuning = HostTuning.allowFaultDescriptors() else {
            throw RuntimeError(
                .restoreFailed,
                "memory cannot come after a container on this machine: vm.unprivileged_userfaultfd is 0 and must "
                    + "not be changed. Set it to 1, or have the memory sent first")
        }
        self.tuning = tuning
        workDirectory = spec.runtimeDirectory + "/lazy"
        try Files.makeDirectories(workDirectory, mode: 0o700)
        var launch = CRIUSurroundings.launch(withoutNetwork: true)
        launch.pageSocket = pages
        daemon = try CRIULazyPages.start(
            try .locate(), launch: launch, images: images, workDirectory: workDirectory,
            logFile: Self.logName)
        pages.close()
    }

    /// The daemon's process, a child of this one.
    var pid: pid_t { daemon.process.pid }

    /// All processes are there and stand still: from now on they cannot run into missing pages unseen.
    func hold() throws {
        // One that has ended already has brought everything, or the check fails.
        holds = (try? daemon.faultDescriptors()) ?? []
        tuning.undo()
        try check()
    }

    /// Throws if the daemon has ended before its time.
    func check() throws {
        // Looked at without waiting for it: that is for the monitor.
        guard daemon.process.hasEnded, !isSatisfied else { return }
        let reason = CRIULazyPages.problems(workDirectory, Self.logName).last
        throw RuntimeError(
            .restoreFailed, "its memory stopped coming" + (reason.map { ": \($0)" } ?? ""))
    }

    /// Whether the daemon has ended well.
    private var isSatisfied: Bool {
        // waitid(2) with WNOWAIT leaves the child to be waited for.
        var information = siginfo_t()
        let options = Int32(WEXITED) | Int32(WNOHANG) | Int32(WNOWAIT)
        guard waitid(P_PID, id_t(pid), &information, options) == 0 else { return false }
        return information.si_code == Int32(CLD_EXITED) && information._sifields._sigchld.si_status == 0
    }

    /// Ends the daemon of a restore that is given up.
    func end() {
        daemon.process.signal(SIGKILL)
        _ = try? daemon.process.waitBlocking()
        tuning.undo()
    }
}
