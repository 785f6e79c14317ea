package import Glibc
import LinuxSystem

/// A wait of CRIU's that never ends.
///
/// While CRIU saves a task it traces all its threads, and waits for the first of them. Should the task be killed just
/// then (by the kernel for want of memory, or with its container), CRIU sleeps for ever: the kernel reports the end of the
/// first thread only when the others have been waited for (ptrace(2), "Death under ptrace"), and that of an init only when
/// all of its process namespace have (pid_namespaces(7)), which CRIU does not do.
package struct CRIUStall: Equatable {
    /// The task that was killed.
    package let pid: pid_t
    /// Its name.
    package let name: String

    /// The task below `initPID` that has been killed and that a CRIU waits for, if there is one at this moment. Seen twice
    /// in a row it is for good.
    package init?(of criu: pid_t, below initPID: pid_t) {
        guard let call = try? Files.text("/proc/\(criu)/syscall"), let awaited = Self.firstArgument(call),
            Proc.tree(from: initPID).contains(awaited), let status = try? ProcessStatus(pid: awaited),
            status.isEnding
        else { return nil }
        pid = awaited
        name = status.name
    }

    /// The first argument of the system call that a process is in, from a line of `/proc/<pid>/syscall` (proc(5)).
    package static func firstArgument(_ line: String) -> pid_t? {
        let words = line.split(separator: " ")
        guard words.count > 2, words[0] != "-1", words[1].hasPrefix("0x"),
            let bits = UInt64(words[1].dropFirst(2), radix: 16)
        else { return nil }
        return pid_t(exactly: bits)
    }
}
