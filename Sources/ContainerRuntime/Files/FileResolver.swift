import Glibc
import LinuxSystem

/// Finds files below a root so that no symlink, `..` or link of /proc can lead out: the kernel itself
/// resolves every path as if the root were `/` (openat2 with RESOLVE_IN_ROOT).
struct FileResolver {
    /// Where a path ends: a name in a directory that is open.
    struct Place {
        let parent: FileDescriptor
        let name: String
        /// What is there now, if anything.
        let status: stat?
    }

    private static let mostLinks = 40

    let root: FileDescriptor
    /// `/proc/self/fd` of the host, opened before the container's own /proc was all that could be seen.
    let descriptors: FileDescriptor

    /// Finds the place a path means. With `follow`, a symlink at its end is followed, also one that leads to
    /// nothing.
    func locate(_ path: String, follow: Bool, action: String) throws -> Place {
        var current = path
        for _ in 0..<Self.mostLinks {
            let place = try locateName(current, action: action)
            guard follow, let status = place.status, status.st_mode & S_IFMT == S_IFLNK else { return place }
            let target = try readLink(place, action: action)
            if target.hasPrefix("/") {
                current = target
            } else {
                let above = current.split(separator: "/").dropLast().joined(separator: "/")
                current = above + "/" + target
            }
        }
        throw ContainerFileError(action, path, errno: ELOOP)
    }

    /// Finds a path without following its last component.
    private func locateName(_ path: String, action: String) throws -> Place {
        guard !path.utf8.contains(0) else { throw ContainerFileError(action, path, errno: EINVAL) }
        var parts = path.split(separator: "/").map(String.init)
        let last = parts.last ?? "."
        // What ends in `.` or `..` is a directory, and has no name of its own there.
        let isPlain = last != "." && last != ".."
        if isPlain { parts.removeLast() }
        let above = parts.isEmpty ? "." : parts.joined(separator: "/")
        let parent: FileDescriptor
        do {
            parent = try root.open(at: above, O_RDONLY | O_DIRECTORY, resolve: [.inRoot, .noMagicLinks])
        } catch let error as SystemError {
            throw ContainerFileError(action, path, errno: error.errno)
        }
        let name = isPlain ? last : "."
        var status = stat()
        if fstatat(parent.rawValue, name, &status, AT_SYMLINK_NOFOLLOW) == 0 {
            let needsDirectory = path.hasSuffix("/") && status.st_mode & S_IFMT != S_IFDIR
            if needsDirectory && status.st_mode & S_IFMT != S_IFLNK {
                throw ContainerFileError(action, path, errno: ENOTDIR)
            }
            return Place(parent: parent, name: name, status: status)
        }
        if errno != ENOENT { throw ContainerFileError(action, path, errno: errno) }
        return Place(parent: parent, name: name, status: nil)
    }

    /// Opens what is at a place, which must be the file or directory that was seen there. Devices are never
    /// opened.
    func open(_ place: Place, _ flags: Int32, path: String, action: String) throws -> (FileDescriptor, stat) {
        let handle = openat(place.parent.rawValue, place.name, OpenFlags.path | O_NOFOLLOW | O_CLOEXEC)
        if handle < 0 { throw ContainerFileError(action, path, errno: errno) }
        let found = FileDescriptor(owning: handle)
        let status = try found.status()
        guard status.st_mode & S_IFMT == S_IFREG || status.st_mode & S_IFMT == S_IFDIR else {
            throw ContainerFileError(
                .notAllowed, "cannot \(action) \(path): it is neither a file nor a directory")
        }
        let opened = openat(descriptors.rawValue, "\(handle)", flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        if opened < 0 { throw ContainerFileError(action, path, errno: errno) }
        return (FileDescriptor(owning: opened), status)
    }

    /// Where a symlink points.
    func readLink(_ place: Place, action: String) throws -> String {
        let bytes = try withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { room in
            guard let base = room.baseAddress else { return [UInt8]() }
            let count = readlinkat(place.parent.rawValue, place.name, base, 4096)
            if count < 0 { throw ContainerFileError(action, place.name, errno: errno) }
            return room[..<count].map { UInt8(bitPattern: $0) }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Flags of open(2) that Swift's Glibc does not show.
enum OpenFlags {
    /// O_PATH: the file itself is not opened.
    static let path: Int32 = 0o10000000
}

extension ContainerFileInfo {
    /// What stat tells.
    init(_ status: stat) {
        let type: ContainerFileType =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .directory
            case S_IFLNK: .symlink
            default: .other
            }
        self.init(
            type: type, user: status.st_uid, group: status.st_gid, mode: status.st_mode & 0o7777,
            size: Int64(status.st_size), modified: Int64(status.st_mtim.tv_sec))
    }
}
