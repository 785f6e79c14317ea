import Glibc
import LinuxSystem

/// Keeps the sockets that lie in a container's files, where another machine restores the container into the same files.
///
/// A restore binds such sockets anew, in the place of those that are there. Should the container run on here after all,
/// nobody would reach its programs any more by these names. So they are moved aside for the time, and back. A second name
/// (a hard link) would not do: the kernel and CRIU take a socket for deleted whose first name was.
struct SocketKeeper {
    /// A socket that was moved aside.
    private struct Kept {
        let directory: FileDescriptor
        let name: String
        var second: String { SocketKeeper.prefix + name }
    }

    private static let prefix = ".apus-kept."
    private let kept: [Kept]

    /// Moves every socket aside that a program below `initPID` is bound to and that lies in `rootfs`.
    init(keeping initPID: pid_t, in rootfs: String) throws {
        kept = try Self.sockets(below: initPID, in: rootfs) { directory, name in
            if renameat(directory.rawValue, name, directory.rawValue, Self.prefix + name) == 0 { return true }
            // Bound on another file system, or removed since.
            guard errno == ENOENT else { throw SystemError("renameat", "keep the socket \(name)") }
            return false
        }
    }

    /// Those that were moved aside.
    private init(finding initPID: pid_t, in rootfs: String) throws {
        kept = try Self.sockets(below: initPID, in: rootfs) { directory, name in
            var status = stat()
            return fstatat(directory.rawValue, Self.prefix + name, &status, AT_SYMLINK_NOFOLLOW) == 0
        }
    }

    /// Puts the sockets back that somebody has kept.
    static func putBack(below initPID: pid_t, in rootfs: String) throws {
        try SocketKeeper(finding: initPID, in: rootfs).putBack()
    }

    /// Puts the sockets back.
    func putBack() {
        for each in kept {
            let directory = each.directory.rawValue
            _ = renameat(directory, each.second, directory, each.name)
        }
    }

    /// Removes them: the container runs elsewhere.
    func forget() {
        for each in kept { _ = unlinkat(each.directory.rawValue, each.second, 0) }
    }

    private static func sockets(
        below initPID: pid_t, in rootfs: String, _ isKept: (FileDescriptor, String) throws -> Bool
    ) throws -> [Kept] {
        // Not as the container shows it, with its ids: nobody of the host may make anything there.
        let root = try FileDescriptor.open(rootfs, O_RDONLY | O_DIRECTORY)
        return try paths(of: initPID).compactMap { path in
            var parts = path.split(separator: "/")
            guard let name = parts.popLast().map(String.init), !name.hasPrefix(prefix),
                let directory = try? root.open(
                    at: parts.isEmpty ? "." : parts.joined(separator: "/"), O_RDONLY | O_DIRECTORY,
                    resolve: [.inRoot, .noMagicLinks])
            else { return nil }
            return try isKept(directory, name) ? Kept(directory: directory, name: name) : nil
        }
    }

    /// The paths that sockets of the container's network namespace are bound to.
    private static func paths(of initPID: pid_t) throws -> Set<String> {
        let text = try Files.text("/proc/\(initPID)/net/unix")
        return Set(
            text.split(separator: "\n").dropFirst().compactMap { line in
                let words = line.split(separator: " ", maxSplits: 7, omittingEmptySubsequences: true)
                return words.count == 8 && words[7].hasPrefix("/") ? String(words[7]) : nil
            })
    }
}
