import Glibc
import LinuxSystem

/// A file of a container that is being written. What is written goes into a new file beside it, which takes
/// its name at once in the end; where that cannot be (the file has several names, is mounted, or is appended
/// to), into the file.
final class FileReplacement {
    /// Where the content is to be written.
    let file: FileDescriptor
    private let path: String
    private let place: FileResolver.Place
    private let resolver: FileResolver
    private let attributes: ContainerFileAttributes
    /// The new file's name, unless it is the file itself that is written.
    private let temporary: String?

    init(
        _ path: String, _ attributes: ContainerFileAttributes, append: Bool, resolver: FileResolver
    ) throws {
        self.path = path
        self.resolver = resolver
        let place = try resolver.locate(path, follow: true, action: "write")
        self.place = place
        guard let old = place.status else {
            self.attributes = attributes
            let name = Self.freshName()
            file = try Self.make(name, in: place.parent, path: path)
            temporary = name
            return
        }
        switch old.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw ContainerFileError("write", path, errno: EISDIR)
        default:
            throw ContainerFileError(.notAllowed, "cannot write \(path): it is not a regular file")
        }
        // A file that exists keeps what is not asked for.
        self.attributes = ContainerFileAttributes(
            user: attributes.user ?? old.st_uid, group: attributes.group ?? old.st_gid,
            mode: attributes.mode ?? (old.st_mode & 0o7777))
        if append || old.st_nlink > 1 {
            let flags = O_WRONLY | (append ? O_APPEND : O_TRUNC)
            file = try resolver.open(place, flags, path: path, action: "write").0
            temporary = nil
            return
        }
        let name = Self.freshName()
        file = try Self.make(name, in: place.parent, path: path)
        temporary = name
    }

    /// Makes what was written the file.
    func commit() throws {
        do {
            try FileWork.apply(attributes, to: file, path: path, mode: 0o644)
            guard let temporary else { return }
            if renameat(place.parent.rawValue, temporary, place.parent.rawValue, place.name) == 0 { return }
            guard errno == EBUSY else { throw ContainerFileError("write", path, errno: errno) }
            try copyIntoPlace()
            unlinkat(place.parent.rawValue, temporary, 0)
        } catch {
            cancel()
            throw error
        }
    }

    /// Removes what was written, unless it went into the file itself.
    func cancel() {
        if let temporary { unlinkat(place.parent.rawValue, temporary, 0) }
    }

    /// For a file that something is mounted on: it keeps its inode and gets the content.
    private func copyIntoPlace() throws {
        let (target, _) = try resolver.open(place, O_WRONLY | O_TRUNC, path: path, action: "write")
        var offset = 0
        while true {
            let sent = sendfile(target.rawValue, file.rawValue, &offset, 1 << 20)
            if sent < 0 && errno == EINTR { continue }
            if sent < 0 { throw ContainerFileError("write", path, errno: errno) }
            if sent == 0 { break }
        }
        try FileWork.apply(attributes, to: target, path: path, mode: 0o644)
    }

    private static func make(_ name: String, in directory: FileDescriptor, path: String) throws
        -> FileDescriptor
    {
        let flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        let made = openat(directory.rawValue, name, flags, 0o600)
        if made < 0 { throw ContainerFileError("write", path, errno: errno) }
        return FileDescriptor(owning: made)
    }

    private static func freshName() -> String {
        ".apus-" + String(UInt64.random(in: .min ... .max), radix: 16)
    }
}
