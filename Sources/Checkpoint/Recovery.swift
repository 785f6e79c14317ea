import Glibc
import LinuxSystem

/// Mends what a CRIU that was killed in the middle of a dump has left behind, once `CRIUGuard` has cared for the tasks.
///
/// TCP sockets that were just being saved stay in repair mode, in which nothing goes through them; unix sockets keep the
/// mark from which CRIU looked at what they hold. Files that have no name any more but other links were given one
/// (`link_remap.N`). Processes that somebody had stopped may have been let go.
enum Recovery {
    private static let tcp = Int32(IPPROTO_TCP)
    private static let tcpRepair: Int32 = 19
    private static let peekOffset: Int32 = 42

    /// Mends everything, given the processes that were stopped before.
    static func mend(below initPID: pid_t, stopped: Set<pid_t> = []) {
        let root = try? FileDescriptor.open("/proc/\(initPID)/root", O_RDONLY | O_DIRECTORY)
        for pid in Proc.tree(from: initPID) {
            guard let process = try? ProcessDescriptor(pid: pid), let open = try? Proc.descriptors(pid) else {
                continue
            }
            if stopped.contains(pid), (try? ProcessStatus(pid: pid))?.state != "T" { process.signal(SIGSTOP) }
            for entry in open {
                if entry.target.hasPrefix("socket:"),
                    let socket = try? process.duplicate(descriptor: entry.number)
                {
                    reset(socket, tcp, tcpRepair, from: { $0 == 1 }, to: 0)
                    reset(socket, SOL_SOCKET, peekOffset, from: { $0 >= 0 }, to: -1)
                } else if let root, entry.target.hasPrefix("/"), entry.target.hasSuffix(" (deleted)") {
                    removeLink(to: "/proc/\(pid)/fd/\(entry.number)", entry.target.dropLast(10), root)
                }
            }
        }
    }

    /// Removes the name that CRIU has given to an open file, beside the one it had.
    private static func removeLink(to open: String, _ former: Substring, _ root: FileDescriptor) {
        var file = stat()
        var parts = former.split(separator: "/")
        guard stat(open, &file) == 0, file.st_mode & S_IFMT == S_IFREG, file.st_nlink > 0, !parts.isEmpty
        else {
            return
        }
        parts.removeLast()
        let above = parts.isEmpty ? "." : parts.joined(separator: "/")
        guard
            let directory = try? root.open(
                at: above, O_RDONLY | O_DIRECTORY, resolve: [.inRoot, .noSymlinks, .noMagicLinks]),
            let names = try? DirectoryReader.names(directory)
        else { return }
        for name in names where name.hasPrefix("link_remap.") {
            var found = stat()
            guard UInt32(name.dropFirst("link_remap.".count)) != nil,
                fstatat(directory.rawValue, name, &found, AT_SYMLINK_NOFOLLOW) == 0,
                found.st_ino == file.st_ino, found.st_dev == file.st_dev
            else { continue }
            _ = unlinkat(directory.rawValue, name, 0)
        }
    }

    private static func reset(
        _ socket: FileDescriptor, _ level: Int32, _ option: Int32, from isChanged: (Int32) -> Bool,
        to usual: Int32
    ) {
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(socket.rawValue, level, option, &value, &length) == 0, isChanged(value) else {
            return
        }
        value = usual
        _ = setsockopt(socket.rawValue, level, option, &value, length)
    }
}
