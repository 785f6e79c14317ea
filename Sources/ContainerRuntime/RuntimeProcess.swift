import Glibc
import LinuxSystem

/// A process of `apus-runtime` that belongs to a runtime directory: found by what the kernel shows of it, because a
/// runtime that was killed early has written nothing about itself.
struct RuntimeProcess {
    let process: ProcessDescriptor
    /// Whether it stays beside a running container; else it is starting or restoring one.
    let isMonitor: Bool

    /// All of a directory, with the children they have forked but that have not executed anything yet.
    static func all(in directory: String) -> [RuntimeProcess] {
        guard Files.isDirectory(directory) else { return [] }
        // A runtime that has come so far as to write about itself is alone.
        if let status = RuntimeConnection(name: "", runtimeDirectory: directory).lastStatus() {
            return [RuntimeProcess(status.runtimePID, in: directory)].compactMap { $0 }
        }
        let numbers = ((try? Files.names(in: "/proc")) ?? []).compactMap { pid_t($0) }
        return numbers.compactMap { RuntimeProcess($0, in: directory) }
    }

    private init?(_ pid: pid_t, in directory: String) {
        guard pid != getpid(), let verb = Self.verb(of: pid, in: directory),
            let process = try? ProcessDescriptor(pid: pid),
            // Asked again: now the number cannot have come to mean another process.
            Self.verb(of: pid, in: directory) == verb, !process.hasEnded
        else { return nil }
        self.process = process
        isMonitor = verb == "monitor"
    }

    /// What it was told to do, if it is one of this directory.
    private static func verb(of pid: pid_t, in directory: String) -> String? {
        var information = stat()
        // A container may name its programs as it likes; but none of them is the host's root.
        guard stat("/proc/\(pid)", &information) == 0, information.st_uid == geteuid() else { return nil }
        let words = Proc.commandLine(pid)
        guard let program = words.first, program.split(separator: "/").last == "apus-runtime",
            words.count > 2,
            words.contains(where: { $0 == directory || $0.hasPrefix(directory + "/") })
        else { return nil }
        return words[1]
    }
}
