import Glibc
import LinuxSystem

/// The operations of a `FileAgent`.
final class FileWork {
    private static let mostEntries = 200_000

    private let resolver: FileResolver
    private var writing: FileReplacement?

    init(_ resolver: FileResolver) { self.resolver = resolver }

    /// Whether a file is being written and not yet committed.
    var isWriting: Bool { writing != nil }

    /// Gives up a file that is being written.
    func cancel() {
        writing?.cancel()
        writing = nil
    }

    /// Does what is asked. A file's data comes back as a descriptor.
    func perform(_ request: FileRequest) throws -> (FileReply, FileDescriptor?) {
        switch request {
        case .open(let path, let follow):
            return try open(path, follow: follow)
        case .write(let path, let attributes, let append):
            cancel()
            let replacement = try FileReplacement(path, attributes, append: append, resolver: resolver)
            writing = replacement
            return (.done, replacement.file)
        case .commit:
            guard let writing else { throw WireReader.malformed }
            self.writing = nil
            try writing.commit()
            return (.done, nil)
        case .cancel:
            cancel()
        case .makeDirectory(let path, let attributes, let parents):
            try makeDirectory(path, attributes, parents: parents)
        case .makeSymlink(let path, let target, let attributes):
            try makeSymlink(path, to: target, attributes)
        case .remove(let path, let recursive):
            try remove(path, recursive: recursive)
        }
        return (.done, nil)
    }

    private func open(_ path: String, follow: Bool) throws -> (FileReply, FileDescriptor?) {
        let place = try resolver.locate(path, follow: follow, action: "open")
        guard let status = place.status else { throw ContainerFileError("open", path, errno: ENOENT) }
        let info = ContainerFileInfo(status)
        switch info.type {
        case .file:
            let (file, status) = try resolver.open(place, O_RDONLY, path: path, action: "open")
            return (.file(ContainerFileInfo(status)), file)
        case .directory:
            let (directory, status) = try resolver.open(
                place, O_RDONLY | O_DIRECTORY, path: path, action: "list")
            return (.directory(ContainerFileInfo(status), try entries(of: directory, path)), nil)
        case .symlink:
            return (.symlink(info, target: try resolver.readLink(place, action: "read")), nil)
        case .other:
            return (.file(info), nil)
        }
    }

    private func entries(of directory: FileDescriptor, _ path: String) throws -> [ContainerDirectoryEntry] {
        let names = try DirectoryReader.names(directory, path).sorted()
        if names.count > Self.mostEntries {
            throw ContainerFileError(
                .notAllowed, "cannot list \(path): it has more than \(Self.mostEntries) entries")
        }
        return names.compactMap { name in
            var status = stat()
            guard fstatat(directory.rawValue, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return nil }
            return ContainerDirectoryEntry(name: name, info: ContainerFileInfo(status))
        }
    }

    private func makeDirectory(_ path: String, _ attributes: ContainerFileAttributes, parents: Bool) throws {
        if parents {
            let parts = path.split(separator: "/").map(String.init)
            for count in 1..<max(1, parts.count) {
                let above = "/" + parts[..<count].joined(separator: "/")
                let place = try resolver.locate(above, follow: true, action: "make directory")
                if place.status == nil { try makeDirectory(at: place, above, ContainerFileAttributes()) }
            }
        }
        let place = try resolver.locate(path, follow: false, action: "make directory")
        if let status = place.status {
            // With parents, as `mkdir -p`: a directory that is there is good, also at the end of a symlink.
            let end = try resolver.locate(path, follow: true, action: "make directory")
            let isDirectory = (end.status ?? status).st_mode & S_IFMT == S_IFDIR
            if parents && isDirectory { return }
            throw ContainerFileError("make directory", path, errno: EEXIST)
        }
        try makeDirectory(at: place, path, attributes)
    }

    private func makeDirectory(
        at place: FileResolver.Place, _ path: String, _ attributes: ContainerFileAttributes
    ) throws {
        if mkdirat(place.parent.rawValue, place.name, 0o700) != 0 {
            throw ContainerFileError("make directory", path, errno: errno)
        }
        do {
            let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
            let made = FileDescriptor(owning: openat(place.parent.rawValue, place.name, flags))
            try Self.apply(attributes, to: made, path: path, mode: 0o755)
        } catch {
            unlinkat(place.parent.rawValue, place.name, AT_REMOVEDIR)
            throw error
        }
    }

    private func makeSymlink(_ path: String, to target: String, _ attributes: ContainerFileAttributes) throws
    {
        let place = try resolver.locate(path, follow: false, action: "make symlink")
        if symlinkat(target, place.parent.rawValue, place.name) != 0 {
            throw ContainerFileError("make symlink", path, errno: errno)
        }
        let result = fchownat(
            place.parent.rawValue, place.name, attributes.user ?? 0, attributes.group ?? 0,
            AT_SYMLINK_NOFOLLOW)
        if result != 0 {
            let reason = errno
            unlinkat(place.parent.rawValue, place.name, 0)
            throw ContainerFileError("change owner of", path, errno: reason)
        }
    }

    private func remove(_ path: String, recursive: Bool) throws {
        let place = try resolver.locate(path, follow: false, action: "remove")
        guard let status = place.status else { throw ContainerFileError("remove", path, errno: ENOENT) }
        if place.name == "." {
            throw ContainerFileError(.notAllowed, "cannot remove \(path): name a file in a directory")
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            if unlinkat(place.parent.rawValue, place.name, 0) != 0 {
                throw ContainerFileError("remove", path, errno: errno)
            }
            return
        }
        if recursive {
            try removeEntries(of: place.name, in: place.parent, device: status.st_dev, path: path, depth: 0)
        }
        if unlinkat(place.parent.rawValue, place.name, AT_REMOVEDIR) != 0 {
            throw ContainerFileError("remove", path, errno: errno)
        }
    }

    /// Empties a directory, without following symlinks or entering other file systems.
    private func removeEntries(
        of name: String, in parent: FileDescriptor, device: dev_t, path: String, depth: Int
    ) throws {
        if depth > 500 { throw ContainerFileError(.notAllowed, "cannot remove \(path): it is too deep") }
        let directory: FileDescriptor
        do {
            directory = try parent.open(
                at: name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                resolve: [.beneath, .noSymlinks, .noCrossDevice])
        } catch let error as SystemError {
            throw ContainerFileError("remove", path, errno: error.errno == EXDEV ? EBUSY : error.errno)
        }
        for child in try DirectoryReader.names(directory, path) {
            if unlinkat(directory.rawValue, child, 0) == 0 || errno == ENOENT { continue }
            guard errno == EISDIR || errno == EPERM else {
                throw ContainerFileError("remove", path + "/" + child, errno: errno)
            }
            try removeEntries(
                of: child, in: directory, device: device, path: path + "/" + child, depth: depth + 1)
            if unlinkat(directory.rawValue, child, AT_REMOVEDIR) != 0 {
                throw ContainerFileError("remove", path + "/" + child, errno: errno)
            }
        }
    }

    /// Gives a new file or directory its owner and mode.
    static func apply(
        _ attributes: ContainerFileAttributes, to file: FileDescriptor, path: String, mode: UInt32
    ) throws {
        if fchown(file.rawValue, attributes.user ?? 0, attributes.group ?? 0) != 0 {
            throw ContainerFileError("change owner of", path, errno: errno)
        }
        if fchmod(file.rawValue, mode_t((attributes.mode ?? mode) & 0o7777)) != 0 {
            throw ContainerFileError("change mode of", path, errno: errno)
        }
    }
}
