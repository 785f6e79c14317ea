import CStorage
import Glibc
import LinuxSystem
import Storage

/// Makes the entries of an image below one directory, so that nothing in a hostile tarball can reach outside.
///
/// Every directory on the way is opened by itself, and never through a symlink; files are made anew, never
/// opened; hard links lead to files of this image only; devices and sockets are not made at all.
final class SafeExtractor {
    private let image: String
    private let root: FileDescriptor
    private let limits: UnpackLimits
    /// What the names in the tarball are below of: "rootfs/" for one that holds nothing else.
    private let prefix: String
    /// Leaves out what is not wanted, such as a root file system beside the metadata of a split image.
    private let isWanted: (EntryPath) -> Bool
    private let shape: Shape
    private let isRoot = geteuid() == 0
    /// The directories from the root to where the last entry was made, still open.
    private var stack: [(name: String, directory: FileDescriptor)] = []
    /// Directories get their attributes in the end: making entries needs write access, and changes times.
    private var directories: [(path: EntryPath, attributes: EntryAttributes)] = []
    private(set) var report = UnpackReport()

    /// What is extracted.
    enum Shape {
        /// `rootfs`, `templates` and `metadata.yaml`, and nothing beside them.
        case image
        /// Ordinary files and directories of any name.
        case files
    }

    /// Extracts into an empty directory.
    init(
        into directory: String, image: String, limits: UnpackLimits, prefix: String = "",
        shape: Shape = .image, isWanted: @escaping (EntryPath) -> Bool = { _ in true }
    ) throws {
        self.image = image
        self.shape = shape
        self.prefix = prefix
        self.isWanted = isWanted
        root = try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY)
        self.limits = try Self.limit(limits, root: root)
    }

    /// Makes one entry.
    func extract(_ entry: TarEntry, from reader: TarReader) throws {
        let target = try entry.hardLink.map { try EntryPath(prefix + $0, of: image) }
        try extract(entry, as: EntryPath(prefix + entry.path, of: image), hardLink: target, from: reader)
    }

    /// Makes one entry under another name.
    func extract(
        _ entry: TarEntry, as path: EntryPath, hardLink target: EntryPath?, from reader: TarReader
    ) throws {
        guard belongs(path), isWanted(path) else {
            if !path.components.isEmpty { report.note("\(path.text): not part of an image, left out") }
            return
        }
        report.entries += 1
        if UInt64(report.entries) > limits.entries {
            throw ImageError(.tooLarge, "\(image) is refused: it has more than \(limits.entries) entries")
        }
        try requireShape(path, entry)
        if let target { return try makeHardLink(path, to: target) }
        let attributes = try EntryAttributes(entry, path: path, image: image, report: &report)
        switch entry.type {
        case FileType.directory: try makeDirectory(path, attributes)
        case FileType.regular: try makeFile(path, entry, attributes, from: reader)
        case FileType.symlink: try makeSymlink(path, to: entry.symlink, attributes)
        case FileType.fifo: try makeFifo(path, attributes)
        case FileType.character where entry.device == 0: try makeWhiteout(path, attributes)
        default: report.note("\(path.text): a device or socket, not made")
        }
    }

    /// Gives the directories their owners, modes and times. Call it once, after the last entry.
    func finish() throws -> UnpackReport {
        for (path, attributes) in directories.reversed() {
            let directory = try open(path.components[...])
            try attributes.apply(to: directory.rawValue, path: path.text, image: image, keepsOwner: isRoot)
        }
        return report
    }

    private func belongs(_ path: EntryPath) -> Bool {
        switch shape {
        case .image: path.isOfImage
        case .files: !path.components.isEmpty
        }
    }

    /// Refuses an image whose own parts are something else than they should be: symlinks that this process
    /// would follow.
    private func requireShape(_ path: EntryPath, _ entry: TarEntry) throws {
        let type = entry.hardLink == nil ? entry.type : 0
        let isRight =
            switch (path.components.first, path.components.count) {
            case _ where shape == .files: type == FileType.regular || type == FileType.directory
            case ("rootfs", 1), ("templates", 1): type == FileType.directory
            case ("rootfs", _): true
            default: type == FileType.regular || (type == FileType.directory && path.components.count > 1)
            }
        if !isRight {
            throw ImageError(
                .hostile, "\(image) is refused: \(path.text) is not an ordinary file or directory")
        }
    }

    private func makeDirectory(_ path: EntryPath, _ attributes: EntryAttributes) throws {
        let parent = try open(path.parent)
        if mkdirat(parent.rawValue, path.name, 0o700) != 0 {
            guard errno == EEXIST else { throw failure("make directory", path) }
            // A directory that exists keeps what is in it; anything else of that name is replaced.
            if try !isDirectory(path.name, in: parent) {
                try remove(path, in: parent)
                if mkdirat(parent.rawValue, path.name, 0o700) != 0 { throw failure("make directory", path) }
            }
        }
        directories.append((path, attributes))
    }

    private func makeFile(
        _ path: EntryPath, _ entry: TarEntry, _ attributes: EntryAttributes, from reader: TarReader
    ) throws {
        let size = entry.size
        guard size >= 0, UInt64(size) <= limits.fileSize else {
            throw ImageError(.tooLarge, "\(image) is refused: \(path.text) claims to be \(size) bytes large")
        }
        if !entry.isSparse { try requireRoom(for: UInt64(size)) }
        let parent = try open(path.parent)
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        var number = openat(parent.rawValue, path.name, flags, 0o600)
        if number < 0 && errno == EEXIST {
            try remove(path, in: parent)
            number = openat(parent.rawValue, path.name, flags, 0o600)
        }
        if number < 0 { throw failure("create", path) }
        let file = FileDescriptor(owning: number)
        var end: Int64 = 0
        try reader.forEachBlock { bytes, offset in
            guard offset >= 0, offset <= size, Int64(bytes.count) <= size - offset else {
                throw ImageError(.invalid, "\(image) is damaged: \(path.text) has data beyond its end")
            }
            try requireRoom(for: UInt64(bytes.count))
            var written = 0
            while written < bytes.count {
                let result = pwrite(
                    number, bytes.baseAddress?.advanced(by: written), bytes.count - written,
                    Int(offset) + written)
                if result < 0 && errno == EINTR { continue }
                if result < 0 { throw failure("write", path) }
                written += result
            }
            report.bytes += UInt64(bytes.count)
            end = max(end, offset + Int64(bytes.count))
        }
        if end < size, ftruncate(number, Int(size)) != 0 { throw failure("write", path) }
        try attributes.apply(to: file.rawValue, path: path.text, image: image, keepsOwner: isRoot)
    }

    private func makeSymlink(_ path: EntryPath, to target: String, _ attributes: EntryAttributes) throws {
        try makeSpecial(path, attributes) { symlinkat(target, $0, path.name) }
    }

    private func makeFifo(_ path: EntryPath, _ attributes: EntryAttributes) throws {
        // The umask may take bits away; nobody can have replaced the fifo by a symlink, the directory is
        // root's alone.
        try makeSpecial(path, attributes) { directory in
            let result = mkfifoat(directory, path.name, 0o600)
            return result == 0 ? fchmodat(directory, path.name, attributes.permissions, 0) : result
        }
    }

    /// The mark of an overlay that a file is deleted: a device that does not exist, which any user may make.
    private func makeWhiteout(_ path: EntryPath, _ attributes: EntryAttributes) throws {
        try makeSpecial(path, attributes) { directory in
            mknodat(directory, path.name, mode_t(FileType.character), 0)
        }
    }

    private func makeSpecial(
        _ path: EntryPath, _ attributes: EntryAttributes, _ make: (Int32) -> Int32
    ) throws {
        let parent = try open(path.parent)
        if make(parent.rawValue) != 0 {
            guard errno == EEXIST else { throw failure("make", path) }
            try remove(path, in: parent)
            if make(parent.rawValue) != 0 { throw failure("make", path) }
        }
        try attributes.applySpecial(path, in: parent.rawValue, image: image, keepsOwner: isRoot)
    }

    private func makeHardLink(_ path: EntryPath, to target: EntryPath) throws {
        guard target.isOfImage, target.components.first == path.components.first else {
            throw ImageError(
                .hostile,
                "\(image) is refused: the hard link \"\(path.text)\" leads outside, to \"\(target.text)\"")
        }
        if path == target { return }
        // Two directories: the one of the target is looked up first, as the next look-up may close it.
        let from = try open(target.parent)
        let parent = try open(path.parent)
        if linkat(from.rawValue, target.name, parent.rawValue, path.name, 0) != 0 {
            if errno == EEXIST {
                try remove(path, in: parent)
                if linkat(from.rawValue, target.name, parent.rawValue, path.name, 0) == 0 { return }
            }
            if errno == ENOENT {
                throw ImageError(
                    .invalid,
                    "\(image) is damaged: \"\(path.text)\" is a hard link to \"\(target.text)\", which is missing"
                )
            }
            throw failure("link", path)
        }
    }

    /// Opens a directory of the image, making those that are missing. Symlinks on the way are refused.
    private func open(_ components: ArraySlice<String>) throws -> FileDescriptor {
        var common = 0
        for (have, want) in zip(stack, components) {
            if have.name != want { break }
            common += 1
        }
        stack.removeLast(stack.count - common)
        var directory = stack.last?.directory ?? root
        for name in components.dropFirst(common) {
            let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
            var next = openat(directory.rawValue, name, flags)
            if next < 0 && errno == ENOENT {
                mkdirat(directory.rawValue, name, 0o755)
                next = openat(directory.rawValue, name, flags)
            }
            if next < 0 {
                let reason = errno
                let path = components.joined(separator: "/")
                if reason == ENOTDIR || reason == ELOOP {
                    throw ImageError(
                        .hostile,
                        "\(image) is refused: an entry lies below \"\(path)\", where \"\(name)\" is not a directory"
                    )
                }
                throw ImageError(
                    .system, "cannot unpack \(image): open \(path): \(SystemError.reason(reason))")
            }
            directory = FileDescriptor(owning: next)
            stack.append((name, directory))
        }
        return directory
    }

    private func isDirectory(_ name: String, in parent: FileDescriptor) throws -> Bool {
        var stat = cstorage_stat()
        return cstorage_stat_at(parent.rawValue, name, &stat) == 0
            && stat.mode & FileType.mask == FileType.directory
    }

    /// Removes what an earlier entry made under the same name. A directory with entries is not replaced.
    private func remove(_ path: EntryPath, in parent: FileDescriptor) throws {
        if unlinkat(parent.rawValue, path.name, 0) == 0 { return }
        if errno == EISDIR, unlinkat(parent.rawValue, path.name, AT_REMOVEDIR) == 0 {
            stack.removeAll()
            directories.removeAll { $0.path == path }
            return
        }
        throw failure("replace", path)
    }

    private func requireRoom(for more: UInt64) throws {
        let (sum, overflow) = report.bytes.addingReportingOverflow(more)
        if overflow || sum > limits.bytes {
            throw ImageError(
                .tooLarge,
                "\(image) is refused: it unpacks to more than \(limits.bytes) bytes, the most that is allowed here"
            )
        }
    }

    private func failure(_ call: String, _ path: EntryPath) -> ImageError {
        let reason = errno
        if reason == ENOSPC || reason == EDQUOT {
            return ImageError(
                .tooLarge, "cannot unpack \(image): the file system is full (\(call) \(path.text))")
        }
        return ImageError(
            .system, "cannot unpack \(image): \(call) \(path.text): \(SystemError.reason(reason))")
    }

    /// Lowers the limits to what the file system has room for.
    private static func limit(_ limits: UnpackLimits, root: FileDescriptor) throws -> UnpackLimits {
        var figures = statvfs()
        if fstatvfs(root.rawValue, &figures) != 0 { throw SystemError("fstatvfs", "measure the file system") }
        var result = limits
        let free = UInt64(figures.f_bavail) * UInt64(figures.f_frsize)
        result.bytes = min(limits.bytes, free - free / 20)
        if figures.f_files > 0 {
            result.entries = min(limits.entries, UInt64(figures.f_favail - figures.f_favail / 20))
        }
        return result
    }
}
