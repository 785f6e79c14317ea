import CStorage
import Glibc
import LinuxSystem

/// What the other side has already in a directory.
final class IndexedDirectory {
    var entries: [FileName: IndexedEntry] = [:]
}

/// One entry that the other side has.
struct IndexedEntry {
    /// The most entries of an index; more than a tree of a terabyte has.
    static let most = 50_000_000

    var mode: UInt32
    var uid: UInt32
    var gid: UInt32
    var size: Int64
    var modified: Int64
    var modifiedNanoseconds: UInt32
    var device: UInt64
    /// Stands for the extended attributes, and a symlink's target.
    var digest: UInt64
    /// The file has more names than this one.
    var isLinked: Bool
    /// What is in it, for a directory.
    var directory: IndexedDirectory?

    /// Whether the data of a file is the same: by size and time, as rsync has it.
    func hasContent(of stat: FileStat) -> Bool {
        stat.isRegular && mode & FileType.mask == FileType.regular && !isLinked && size == stat.size
            && modified == stat.mtime_sec && modifiedNanoseconds == stat.mtime_nsec
    }

    /// Whether an open file has the same attributes.
    func matches(_ stat: FileStat, of file: Int32) -> Bool {
        matches(stat) && digest == EntryDigest.of(file)
    }

    /// Whether an entry that cannot be opened is the same.
    func matches(_ stat: FileStat, in directory: Int32, _ name: UnsafePointer<CChar>) -> Bool {
        matches(stat) && device == stat.rdev && digest == EntryDigest.of(name, in: directory, stat)
    }

    private func matches(_ stat: FileStat) -> Bool {
        mode == stat.mode && uid == stat.uid && gid == stat.gid && modified == stat.mtime_sec
            && modifiedNanoseconds == stat.mtime_nsec
    }
}

/// Tells the other side what is here already.
enum TreeIndex {
    /// Writes what is in a tree; the root's path is empty.
    static func write(_ root: Int32, to writer: RecordWriter) throws {
        let buffer = EntryBuffer()
        let top = try SourceDirectory(root: root, FileStat.of(root, "the volume"))
        var waiting = [top]
        while let directory = waiting.popLast() {
            try writer.byte(1)
            try writer.name(directory.path)
            try forEachEntry(of: directory.descriptor, buffer: buffer.bytes, path: directory.path.text) {
                name, _ in
                guard let stat = try FileStat.find(directory.descriptor, name) else { return }
                try write(name, stat, in: directory, to: writer)
                if stat.isDirectory { waiting.append(try SourceDirectory(directory, FileName(name), stat)) }
            }
            try writer.byte(0)
        }
        try writer.byte(0)
    }

    private static func write(
        _ name: UnsafePointer<CChar>, _ stat: FileStat, in directory: SourceDirectory, to writer: RecordWriter
    ) throws {
        try writer.byte(1)
        try writer.name(name)
        try writer.number(UInt64(stat.mode))
        try writer.number(UInt64(stat.uid))
        try writer.number(UInt64(stat.gid))
        try writer.number(UInt64(stat.size))
        try writer.signed(stat.mtime_sec)
        try writer.number(UInt64(stat.mtime_nsec))
        try writer.number(stat.rdev)
        try writer.number(stat.nlink > 1 ? 1 : 0)
        try writer.number(EntryDigest.of(name, in: directory.descriptor, stat))
    }

    /// Reads what `write` wrote.
    static func read(from reader: RecordReader) throws -> IndexedDirectory {
        var directories: [FileName: IndexedDirectory] = [.root: IndexedDirectory()]
        var count = 0
        while try reader.byte() == 1 {
            let path = FileName(bytes: try reader.counted(upTo: TreeFormat.longestPath, "a path"))
            guard let directory = directories[path] else {
                throw MalformedStream("the index has a stray directory")
            }
            while try reader.byte() == 1 {
                count += 1
                let name = FileName(bytes: try reader.counted(upTo: TreeFormat.longestName, "a name"))
                var entry = try readEntry(from: reader)
                if entry.mode & FileType.mask == FileType.directory {
                    let below = IndexedDirectory()
                    entry.directory = below
                    directories[path.appending(name)] = below
                }
                directory.entries[name] = entry
                guard count <= IndexedEntry.most else { throw MalformedStream("the index has no end") }
            }
        }
        guard let root = directories[.root] else { throw MalformedStream("the index is empty") }
        return root
    }

    private static func readEntry(from reader: RecordReader) throws -> IndexedEntry {
        try IndexedEntry(
            mode: UInt32(try reader.number(upTo: 0o177777, "a mode")),
            uid: UInt32(try reader.number(upTo: UInt64(UInt32.max), "a user id")),
            gid: UInt32(try reader.number(upTo: UInt64(UInt32.max), "a group id")),
            size: Int64(try reader.number(upTo: UInt64(Int64.max), "a size")),
            modified: try reader.signed(),
            modifiedNanoseconds: UInt32(try reader.number(upTo: 999_999_999, "a time")),
            device: try reader.number(), digest: 0, isLinked: try reader.number() != 0
        ).with { $0.digest = try reader.number() }
    }
}

extension IndexedEntry {
    fileprivate func with(_ change: (inout IndexedEntry) throws -> Void) rethrows -> IndexedEntry {
        var copy = self
        try change(&copy)
        return copy
    }
}

/// A number for an entry's extended attributes and, of a symlink, where it leads.
enum EntryDigest {
    /// Of an open file.
    static func of(_ file: Int32) -> UInt64 {
        attributes(
            list: { cstorage_flistxattr(file, $0, $1) }, read: { cstorage_fgetxattr(file, $0, $1, $2) })
    }

    /// Of an entry by its name.
    static func of(_ name: UnsafePointer<CChar>, in directory: Int32, _ stat: FileStat) -> UInt64 {
        let path = ProcPath.bytes(directory, name)
        var digest = attributes(
            list: { cstorage_llistxattr(path, $0, $1) }, read: { cstorage_lgetxattr(path, $0, $1, $2) })
        if stat.isSymlink {
            var target = [CChar](repeating: 0, count: Int(PATH_MAX))
            let length = max(0, readlinkat(directory, name, &target, target.count))
            target.withUnsafeBytes { digest ^= hash(UnsafeRawBufferPointer(rebasing: $0[..<length])) }
        }
        return digest
    }

    /// In no order: file systems list attributes as they like.
    private static func attributes(
        list: (UnsafeMutablePointer<CChar>?, Int) -> Int,
        read: (UnsafePointer<CChar>, UnsafeMutableRawPointer?, Int) -> Int
    ) -> UInt64 {
        let size = list(nil, 0)
        if size <= 0 { return 0 }
        var names = [CChar](repeating: 0, count: TreeFormat.longestAttribute)
        let filled = list(&names, names.count)
        if filled <= 0 { return 0 }
        var digest: UInt64 = 0
        for name in names[..<filled].split(separator: 0).map({ Array($0) + [0] }) {
            let label = name.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
            if TreeFormat.ownAttributes.contains(label) { continue }
            var value = [UInt8](repeating: 0, count: max(0, read(name, nil, 0)))
            let length = max(0, read(name, &value, value.count))
            let whole = name.map { UInt8(bitPattern: $0) } + value[..<length]
            digest ^= whole.withUnsafeBytes { hash($0) }
        }
        return digest
    }

    /// FNV-1a: the same on every host.
    private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var result: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { result = (result ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return result
    }
}
