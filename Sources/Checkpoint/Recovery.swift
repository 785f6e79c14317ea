import Glibc
import LinuxSystem

/// Mends what a CRIU that was killed in the middle of a dump has left behind in the tasks.
///
/// The kernel lets them go on by itself. But TCP sockets that were just being saved stay in repair mode, in which
/// nothing goes through them. (A task that was in the few instructions with which CRIU gets its code into it, less than
/// a millisecond each, ends by SIGTRAP; nothing can be done about that.)
enum Recovery {
    /// Takes every TCP socket of the tasks out of repair mode; how many there were.
    @discardableResult
    static func endRepair(below initPID: pid_t) -> Int {
        var count = 0
        for pid in Proc.tree(from: initPID) {
            guard let process = try? ProcessDescriptor(pid: pid), let open = try? Proc.descriptors(pid) else {
                continue
            }
            for entry in open where entry.target.hasPrefix("socket:") {
                guard let socket = try? process.duplicate(descriptor: entry.number) else { continue }
                if endRepair(of: socket) { count += 1 }
            }
        }
        return count
    }

    private static func endRepair(of socket: FileDescriptor) -> Bool {
        let level = Int32(IPPROTO_TCP)
        let repair: Int32 = 19
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(socket.rawValue, level, repair, &value, &length) == 0, value == 1 else {
            return false
        }
        value = 0
        return setsockopt(socket.rawValue, level, repair, &value, length) == 0
    }
}
