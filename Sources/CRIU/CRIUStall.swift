import Glibc
import LinuxSystem

/// A wait of CRIU's that never ends.
///
/// While CRIU saves a task it traces all its threads, and waits for the first of them. Should the task be killed just
/// then (by the kernel for want of memory, or with its container), the kernel reports the end of the first thread only
/// when the others have been waited for, which CRIU does not do (ptrace(2), "Death under ptrace"): it sleeps for ever.
struct CRIUStall: Equatable {
    /// The task that was killed.
    let pid: pid_t
    /// Its name.
    let name: String

    /// The task below `initPID` that a CRIU waits for in vain, if there is one at this moment. Seen twice in a row it is
    /// for good.
    init?(of criu: pid_t, below initPID: pid_t) {
        guard let call = try? Files.text("/proc/\(criu)/syscall"), let awaited = Self.firstArgument(call),
            Proc.tree(from: initPID).contains(awaited),
            let status = try? ProcessStatus(pid: awaited), status.state == "Z",
            let threads = try? Files.names(in: "/proc/\(awaited)/task").compactMap({ pid_t($0) }),
            threads.contains(where: { $0 != awaited && Self.hasEnded(thread: $0, of: awaited, tracer: criu) })
        else { return nil }
        pid = awaited
        name = status.name
    }

    private static func hasEnded(thread: pid_t, of process: pid_t, tracer: pid_t) -> Bool {
        guard let text = try? Files.text("/proc/\(process)/task/\(thread)/status") else { return false }
        let fields = ProcessStatus.parseFields(text)
        return fields["State"]?.first == "Z" && fields["TracerPid"] == "\(tracer)"
    }

    /// The first argument of the system call that a process is in, from a line of `/proc/<pid>/syscall` (proc(5)).
    static func firstArgument(_ line: String) -> pid_t? {
        let words = line.split(separator: " ")
        guard words.count > 2, words[0] != "-1", words[1].hasPrefix("0x"),
            let bits = UInt64(words[1].dropFirst(2), radix: 16)
        else { return nil }
        return pid_t(exactly: bits)
    }
}
