import CStorage
import Glibc
import LinuxSystem

/// Builds a tree of the records that come. Whatever they say, nothing is touched that is not in the tree: directories
/// are opened below its root without following a symlink, and entries by single names.
final class TreeBuilder {
    private static let beneath: UInt64 = 0x01 | 0x02 | 0x04 | 0x08
    /// Room in the pool that is never filled, so that the host's own work goes on.
    static let reserve: UInt64 = 32 << 20

    private let root: Int32
    private let reader: RecordReader
    /// Bytes that may be written in this pass.
    private var budget: UInt64
    private var directory: FileDescriptor
    private var path = FileName.root
    /// While the container runs, directories move between being looked at and being sent: then what is said of one
    /// that is not here is passed over. It comes again under its new name.
    private var mayLack = false
    private var isSkipping = false
    private(set) var report = PassReport()
    /// Directories that are out of the way, to be removed when there is time: names in the root.
    private(set) var trash: [String] = []

    /// Builds in an open directory.
    init(root: Int32, reader: RecordReader, budget: UInt64) throws {
        self.root = root
        self.reader = reader
        self.budget = budget
        directory = FileDescriptor(owning: try posix(fcntl(root, F_DUPFD_CLOEXEC, 3), "open", "the volume"))
    }

    /// Takes in records up to the end of the pass; which pass it was.
    func run() throws -> TransferPass {
        guard try reader.byte() == TreeRecord.begin.rawValue else {
            throw MalformedStream("it has no beginning")
        }
        let version = try reader.number()
        guard version == TreeFormat.version else {
            throw MalformedStream("it has version \(version); this host knows \(TreeFormat.version)")
        }
        guard let pass = TransferPass(rawValue: try reader.byte()) else {
            throw MalformedStream("there is no such pass")
        }
        mayLack = pass == .update
        while let record = TreeRecord(rawValue: try reader.byte()) {
            if record == .end { return pass }
            report.entries += 1
            try take(record)
        }
        throw MalformedStream("there is no such record")
    }

    private func take(_ record: TreeRecord) throws {
        switch record {
        case .enter: try enter()
        case .directory: try makeDirectory(name())
        case .attributes:
            let attributes = try SentAttributes(from: reader)
            if !isSkipping { try attributes.apply(to: directory.rawValue, path: path.text) }
        case .file: try makeFile(name())
        case .update: try updateFile(name())
        case .symlink: try makeSymlink(name())
        case .special: try makeSpecial(name())
        case .link: try makeLink(name())
        case .remove: try remove(name())
        case .begin, .end: throw MalformedStream("a record is where it cannot be")
        }
    }

    // MARK: Names

    private func name() throws -> FileName {
        let bytes = try reader.counted(upTo: TreeFormat.longestName, "a name")
        guard Self.isName(bytes[...]) else { throw MalformedStream("a name is none") }
        return FileName(bytes: bytes)
    }

    private static func isName(_ bytes: ArraySlice<UInt8>) -> Bool {
        !bytes.isEmpty && bytes.count <= TreeFormat.longestName && !bytes.contains(0) && !bytes.contains(47)
            && !bytes.elementsEqual([46]) && !bytes.elementsEqual([46, 46])
    }

    private func readPath() throws -> FileName {
        let bytes = try reader.counted(upTo: TreeFormat.longestPath, "a path")
        if bytes.isEmpty { return .root }
        for part in bytes.split(separator: 47, omittingEmptySubsequences: false) where !Self.isName(part) {
            throw MalformedStream("a path is none")
        }
        return FileName(bytes: bytes)
    }

    private func text(_ name: FileName) -> String { path.appending(name).text }

    // MARK: Directories

    private func enter() throws {
        path = try readPath()
        isSkipping = false
        do {
            directory = try open(path)
        } catch let error as FileFailure where isLack(error) {
            isSkipping = true
        }
    }

    private func isLack(_ error: FileFailure) -> Bool {
        mayLack && [ENOENT, ENOTDIR, ELOOP].contains(error.errno)
    }

    /// Opens a directory of the tree, however deep it is.
    private func open(_ path: FileName) throws -> FileDescriptor {
        if path.isEmpty {
            return FileDescriptor(owning: try posix(fcntl(root, F_DUPFD_CLOEXEC, 3), "open", "the volume"))
        }
        let flags = UInt64(O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        let found = path.withPointer { cstorage_openat2(root, $0, flags, 0, Self.beneath) }
        if found != -ENAMETOOLONG {
            return FileDescriptor(owning: try checked(found, "open", path.text))
        }
        var current = try open(.root)
        for part in path.components {
            let next = part.withPointer { cstorage_openat2(current.rawValue, $0, flags, 0, Self.beneath) }
            current = FileDescriptor(owning: try checked(next, "open", path.text))
        }
        return current
    }

    private func makeDirectory(_ name: FileName) throws {
        report.copied += 1
        if isSkipping { return }
        let result = name.withPointer { mkdirat(directory.rawValue, $0, 0o700) }
        if result == 0 { return }
        guard errno == EEXIST else { throw FileFailure("make directory", text(name), errno) }
        if let there = try name.withPointer({ try FileStat.find(directory.rawValue, $0) }), there.isDirectory
        {
            return
        }
        try clear(name)
        try posix(name.withPointer { mkdirat(directory.rawValue, $0, 0o700) }, "make directory", text(name))
    }

    /// Frees a name. A directory is only moved out of the way: somebody may wait for the pass.
    private func clear(_ name: FileName) throws {
        if name.withPointer({ unlinkat(directory.rawValue, $0, 0) }) == 0 || errno == ENOENT { return }
        guard errno == EISDIR || errno == EPERM else { throw FileFailure("remove", text(name), errno) }
        let place = ".apus-removed-" + String(UInt64.random(in: .min ... .max), radix: 16)
        let result = name.withPointer { cstorage_rename_new_at(directory.rawValue, $0, root, place) }
        try checked(result, "remove", text(name))
        trash.append(place)
    }

    private func remove(_ name: FileName) throws {
        report.removed += 1
        if isSkipping { return }
        try clear(name)
    }

    // MARK: Files

    private func makeFile(_ name: FileName) throws {
        report.copied += 1
        let attributes = try SentAttributes(from: reader)
        guard attributes.stat.isRegular else { throw MalformedStream("a file is none") }
        if isSkipping { return try fill(-1, name, isNew: true) }
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        var file = name.withPointer { openat(directory.rawValue, $0, flags, 0o600) }
        if file < 0 && errno == EEXIST {
            try clear(name)
            file = name.withPointer { openat(directory.rawValue, $0, flags, 0o600) }
        }
        try posix(file, "create", text(name))
        let owner = FileDescriptor(owning: file)
        try fill(owner.rawValue, name, isNew: true)
        try attributes.apply(to: owner.rawValue, path: text(name))
    }

    private func updateFile(_ name: FileName) throws {
        report.copied += 1
        let attributes = try SentAttributes(from: reader)
        guard let file = try openFile(name) else { return try fill(-1, name, isNew: false) }
        try fill(file.rawValue, name, isNew: false)
        try attributes.apply(to: file.rawValue, path: text(name))
    }

    /// A file that is here; nil if it may be missing and is.
    private func openFile(_ name: FileName) throws -> FileDescriptor? {
        if isSkipping { return nil }
        let flags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
        let file = name.withPointer { openat(directory.rawValue, $0, flags) }
        if file < 0 {
            if mayLack { return nil }
            throw FileFailure("open", text(name), errno)
        }
        let owner = FileDescriptor(owning: file)
        if try FileStat.of(file, text(name)).isRegular { return owner }
        if mayLack { return nil }
        throw MalformedStream("\(text(name)) is to be changed, but is no file")
    }

    /// Takes in a file's content; of -1 only out of the stream.
    private func fill(_ file: Int32, _ name: FileName, isNew: Bool) throws {
        var end: Int64 = 0
        while let piece = ContentPiece(rawValue: try reader.byte()) {
            switch piece {
            case .data:
                let offset = try fixed(UInt64.self)
                let count = try fixed(UInt32.self)
                guard offset <= UInt64(Int64.max) - UInt64(count), count <= TreeFormat.longestPiece else {
                    throw MalformedStream("a piece of \(text(name)) is too large")
                }
                guard budget >= UInt64(count) else { throw FileFailure("write", text(name), ENOSPC) }
                budget -= UInt64(count)
                report.bytes += UInt64(count)
                try write(Int64(offset), Int(count), to: file, name)
                end = max(end, Int64(offset) + Int64(count))
            case .hole:
                let offset = try reader.number(upTo: UInt64(Int64.max), "an offset")
                let count = try reader.number(upTo: UInt64(Int64.max) - offset, "a hole")
                if !isNew && file >= 0 {
                    try checked(
                        cstorage_punch_hole(file, Int64(offset), Int64(count)), "punch hole", text(name))
                }
            case .end:
                let size = try reader.number(upTo: UInt64(Int64.max), "a size")
                if file >= 0 && (!isNew || Int64(size) != end) {
                    try posix(ftruncate(file, Int(size)), "set the size of", text(name))
                }
                return
            }
        }
        throw MalformedStream("\(text(name)) has no end")
    }

    private func fixed<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Number {
        var value: Number = 0
        for index in 0..<(Number.bitWidth / 8) { value |= Number(try reader.byte()) << (8 * Number(index)) }
        return value
    }

    private func write(_ start: Int64, _ count: Int, to file: Int32, _ name: FileName) throws {
        var offset = Int(start)
        try reader.bytes(count) { part in
            if file < 0 { return }
            var written = 0
            while written < part.count, let base = part.baseAddress {
                let result = pwrite(file, base + written, part.count - written, offset)
                if result < 0 && errno == EINTR { continue }
                if result < 0 { throw FileFailure("write", text(name), errno) }
                written += result
                offset += result
            }
        }
    }

    // MARK: Other entries

    private func makeSymlink(_ name: FileName) throws {
        report.copied += 1
        let attributes = try SentAttributes(from: reader)
        let target = FileName(bytes: try reader.counted(upTo: Int(PATH_MAX) - 1, "a symlink's target"))
        guard attributes.stat.isSymlink, !target.isEmpty else { throw MalformedStream("a symlink is none") }
        if isSkipping { return }
        try clear(name)
        let result = target.withPointer { target in
            name.withPointer { symlinkat(target, directory.rawValue, $0) }
        }
        try posix(result, "make symlink", text(name))
        try name.withPointer { try attributes.apply(toSpecial: $0, in: directory.rawValue, path: text(name)) }
    }

    private func makeSpecial(_ name: FileName) throws {
        report.copied += 1
        let attributes = try SentAttributes(from: reader)
        let device = try reader.number()
        let stat = attributes.stat
        guard !stat.isRegular, !stat.isDirectory, !stat.isSymlink else {
            throw MalformedStream("a special file is none")
        }
        if isSkipping { return }
        try clear(name)
        let result = name.withPointer {
            mknodat(directory.rawValue, $0, mode_t(stat.type) | 0o600, dev_t(device))
        }
        try posix(result, "make special file", text(name))
        try name.withPointer { try attributes.apply(toSpecial: $0, in: directory.rawValue, path: text(name)) }
    }

    private func makeLink(_ name: FileName) throws {
        report.copied += 1
        let (above, last) = try readPath().split
        if isSkipping { return }
        do {
            let from = try open(above)
            try clear(name)
            let result = last.withPointer { last in
                name.withPointer { linkat(from.rawValue, last, directory.rawValue, $0, 0) }
            }
            try posix(result, "link \(text(name)) to", above.appending(last).text)
        } catch let error as FileFailure where isLack(error) {}
    }
}
