import CLinux
public import Glibc

/// Reading directories by descriptor, so that nobody can swap a path under us.
public enum DirectoryReader {
    /// The names in an open directory, without `.` and `..`, in no order.
    public static func names(_ directory: FileDescriptor, _ context: String = "directory") throws -> [String]
    {
        try entries(directory, context).map(\.name)
    }

    /// The names of the directories in an open directory.
    public static func directories(
        _ directory: FileDescriptor, _ context: String = "directory"
    ) throws -> [String] {
        try entries(directory, context).filter { entry in
            guard entry.type == UInt8(DT_UNKNOWN) else { return entry.type == UInt8(DT_DIR) }
            // A file system that keeps no types in its directories.
            var information = stat()
            return fstatat(directory.rawValue, entry.name, &information, AT_SYMLINK_NOFOLLOW) == 0
                && information.st_mode & S_IFMT == S_IFDIR
        }.map(\.name)
    }

    private static func entries(
        _ directory: FileDescriptor, _ context: String
    ) throws -> [(name: String, type: UInt8)] {
        let copy = try check("openat", "read \(context)") {
            openat(directory.rawValue, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        }
        guard let stream = fdopendir(copy) else {
            let error = SystemError("fdopendir", "read \(context)")
            close(copy)
            throw error
        }
        defer { closedir(stream) }
        var entries: [(name: String, type: UInt8)] = []
        errno = 0
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { entries.append((name, entry.pointee.d_type)) }
            errno = 0
        }
        if errno != 0 { throw SystemError("readdir", "read \(context)") }
        return entries
    }
}

/// How a path may be resolved below a directory. See openat2(2).
public struct ResolveOptions: OptionSet, Sendable {
    /// The kernel's bits.
    public let rawValue: UInt64
    /// From the kernel's bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Treat the directory as `/`: absolute symlinks and `..` stay in it.
    public static let inRoot = ResolveOptions(rawValue: UInt64(APUS_RESOLVE_IN_ROOT))
    /// Refuse anything that would leave the directory.
    public static let beneath = ResolveOptions(rawValue: UInt64(APUS_RESOLVE_BENEATH))
    /// Refuse `/proc/…/fd`-like links.
    public static let noMagicLinks = ResolveOptions(rawValue: UInt64(APUS_RESOLVE_NO_MAGICLINKS))
    /// Refuse all symlinks.
    public static let noSymlinks = ResolveOptions(rawValue: UInt64(APUS_RESOLVE_NO_SYMLINKS))
    /// Refuse to cross a mount.
    public static let noCrossDevice = ResolveOptions(rawValue: UInt64(APUS_RESOLVE_NO_XDEV))
}

extension FileDescriptor {
    /// Opens a path below this directory as `resolve` allows (openat2).
    public func open(
        at path: String, _ flags: Int32, mode: mode_t = 0, resolve: ResolveOptions
    ) throws -> FileDescriptor {
        FileDescriptor(
            owning: try check("openat2", "open \(path)") {
                apus_openat2(
                    rawValue, path, UInt64(flags | O_CLOEXEC), flags & O_CREAT != 0 ? UInt64(mode) : 0,
                    resolve.rawValue)
            })
    }
}

/// Removes a whole tree (or file), but never follows a symlink and never enters another file system or mount:
/// a mount found in it is an error, and it and the directories above it stay. A path that is not there is
/// fine.
public func removeTree(_ path: String) throws {
    var parts = path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
    guard let name = parts.popLast(), name != ".", name != ".." else {
        throw SystemError(call: "unlinkat", errno: EINVAL, context: "remove \(path)")
    }
    let above = (path.hasPrefix("/") ? "/" : "./") + parts.joined(separator: "/")
    let parent: FileDescriptor
    do {
        parent = try FileDescriptor.open(above, O_RDONLY | O_DIRECTORY)
    } catch let error as SystemError where error.errno == ENOENT {
        return
    }
    try removeEntry(name, in: parent, path: path)
}

private func removeEntry(_ name: String, in parent: FileDescriptor, path: String) throws {
    if unlinkat(parent.rawValue, name, 0) == 0 || errno == ENOENT { return }
    guard errno == EISDIR || errno == EPERM else { throw SystemError("unlinkat", "remove \(path)") }
    let directory: FileDescriptor
    do {
        directory = try parent.open(
            at: name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
            resolve: [.beneath, .noSymlinks, .noMagicLinks, .noCrossDevice])
    } catch let error as SystemError where error.errno == ENOTDIR {
        // Not a directory: the first answer was about the file itself, an immutable one for instance.
        throw SystemError(call: "unlinkat", errno: EPERM, context: "remove \(path)")
    } catch let error as SystemError where error.errno == EXDEV {
        throw SystemError(
            call: "unlinkat", errno: EXDEV, context: "remove \(path): something is mounted there")
    }
    for child in try DirectoryReader.names(directory, path) {
        try removeEntry(child, in: directory, path: path + "/" + child)
    }
    if unlinkat(parent.rawValue, name, AT_REMOVEDIR) != 0, errno != ENOENT {
        throw SystemError("unlinkat", "remove directory \(path)")
    }
}
