internal import Glibc
public import LinuxSystem

/// `criu lazy-pages`: brings restored tasks the pages that were not in the images, when they touch them and meanwhile
/// one after the other. It is no part of CRIU's RPC, so it is run by its command line.
public struct CRIULazyPages: Sendable {
    /// The process; a child of this one, which must wait for it. It ends by itself when the last page has come.
    public let process: ProcessDescriptor

    /// Starts it; returns when a restore can begin.
    /// - Parameters:
    ///   - launch: how it is started; its `pageSocket` leads to a `CRIUPageSource`.
    ///   - images: the directory of the images, which must be complete.
    ///   - workDirectory: where the restore finds it by a socket. Both must be given the same, and no other restore.
    ///   - logFile: the name of its log there.
    public static func start(
        _ criu: CRIUInstallation, launch: CRIULaunch, images: String, workDirectory: String, logFile: String
    ) throws -> CRIULazyPages {
        let (ready, status) = try FileDescriptor.pipe()
        let arguments = [
            "lazy-pages", "--page-server", "--ps-socket", String(CRIULaunch.pageSocketNumber), "--images-dir",
            images, "--work-dir", workDirectory, "--log-file", logFile, "-v1", "--status-fd",
            String(statusNumber),
        ]
        let spawn = launch.program(criu.command + arguments, descriptors: [statusNumber: status])
        let process = try spawn.start()
        status.close()
        // What it holds cannot be had again: it is the last to go when memory runs out.
        try? Files.poke("/proc/\(process.pid)/oom_score_adj", "-1000")
        if launch.niceness != 0 {
            _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), id_t(process.pid), launch.niceness)
        }
        // It writes one byte when it is ready, and closes without one when it ends.
        guard try !ready.read(upTo: 1).isEmpty else {
            let end = try process.waitBlocking()
            throw CRIUError(
                .refused, "cannot start CRIU's lazy-pages daemon: it \(end)",
                logLines: problems(workDirectory, logFile))
        }
        return CRIULazyPages(process: process)
    }

    /// The descriptors by which it fills the memory of the tasks, copied: without one the kernel would give them zeros
    /// instead of the pages that have not come. For when all tasks are there and do not run yet.
    public func faultDescriptors() throws -> [FileDescriptor] {
        try Self.faultDescriptors(of: process.pid).map { try process.duplicate(descriptor: $0) }
    }

    /// The numbers that those descriptors have in the daemon.
    public static func faultDescriptors(of daemon: Int32) throws -> [Int32] {
        try Proc.descriptors(daemon).filter { $0.target == "anon_inode:[userfaultfd]" }.map(\.number)
    }

    /// The lines of its log that tell of problems.
    public static func problems(_ workDirectory: String, _ logFile: String) -> [String] {
        guard let directory = try? FileDescriptor.open(workDirectory, O_RDONLY | O_DIRECTORY) else {
            return []
        }
        return CRIULog.problems(inDirectory: directory.rawValue, file: logFile)
    }

    private static let statusNumber: Int32 = 5
}
