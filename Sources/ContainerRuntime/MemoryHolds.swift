import CRIU
import Glibc
import LinuxSystem

/// Copies of the descriptors by which CRIU's daemon fills the memory of restored tasks.
///
/// Should the daemon end before its time, the kernel gives zeros where pages are missing, but not as long as somebody else
/// has a copy: then whoever misses one waits. On the other hand a copy of what the daemon itself has closed, because
/// nothing is missing any more, makes tasks wait for ever (for their fork(2) or munmap(2) to be noticed) and the daemon
/// spin: epoll(7) goes on reporting a descriptor until its last copy is closed. So the copies follow the daemon's.
struct MemoryHolds {
    /// By the inode, of which each has its own (since Linux 5.13).
    private var copies: [ino_t: FileDescriptor] = [:]

    /// How often the copies are to follow, in milliseconds.
    static let interval: Int32 = 5

    /// Takes over copies.
    init(_ copies: [FileDescriptor]) {
        for copy in copies {
            guard let inode = Self.inode("/proc/self/fd/\(copy.rawValue)") else { continue }
            self.copies[inode] = copy
        }
    }

    /// Drops what the daemon has closed and copies what it has got meanwhile, for the children of tasks.
    mutating func follow(_ daemon: pid_t) {
        guard let process = try? ProcessDescriptor(pid: daemon),
            let all = try? CRIULazyPages.faultDescriptors(of: daemon)
        else { return }
        var theirs: [ino_t: Int32] = [:]
        for number in all {
            // One that was closed just now is dropped the next time.
            guard let inode = Self.inode("/proc/\(daemon)/fd/\(number)") else { return }
            theirs[inode] = number
        }
        // What ends closes everything: then every copy counts.
        guard (try? ProcessStatus(pid: daemon))?.isEnding == false else { return }
        for inode in copies.keys where theirs[inode] == nil { copies[inode] = nil }
        for (inode, number) in theirs where copies[inode] == nil {
            copies[inode] = try? process.duplicate(descriptor: number)
        }
    }

    private static func inode(_ path: String) -> ino_t? {
        var information = stat()
        return stat(path, &information) == 0 ? information.st_ino : nil
    }
}
