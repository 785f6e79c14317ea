import CStorage
import Glibc

/// The attributes of an entry as they came in a stream, and how an entry gets them.
struct SentAttributes {
    let stat: FileStat
    let attributes: [(name: [CChar], value: [UInt8])]

    /// Takes them out of a stream.
    init(from reader: RecordReader) throws {
        var stat = FileStat()
        stat.mode = UInt32(try reader.number(upTo: 0o177777, "a mode"))
        stat.uid = UInt32(try reader.number(upTo: UInt64(UInt32.max - 1), "a user id"))
        stat.gid = UInt32(try reader.number(upTo: UInt64(UInt32.max - 1), "a group id"))
        stat.mtime_sec = try reader.signed()
        stat.mtime_nsec = UInt32(try reader.number(upTo: 999_999_999, "a time"))
        stat.atime_sec = try reader.signed()
        stat.atime_nsec = UInt32(try reader.number(upTo: 999_999_999, "a time"))
        self.stat = stat
        var attributes: [(name: [CChar], value: [UInt8])] = []
        var room = TreeFormat.longestAttribute
        while try reader.number(upTo: 1, "the mark of an attribute") == 1 {
            let name = try reader.counted(upTo: 255, "the name of an attribute")
            guard !name.contains(0), !name.isEmpty, name.count < room else {
                throw MalformedStream("the name of an attribute is not one")
            }
            room -= name.count + 1
            let value = try reader.counted(upTo: TreeFormat.longestAttribute, "an attribute")
            attributes.append((name.map { CChar(bitPattern: $0) } + [0], value))
        }
        self.attributes = attributes
    }

    /// Gives them to an open file or directory. Times come last, as all else changes them.
    func apply(to file: Int32, path: @autoclosure () -> String) throws {
        try posix(fchown(file, stat.uid, stat.gid), "change owner of", path())
        // A change of owner clears setuid, and the umask takes bits away.
        try posix(fchmod(file, stat.permissions), "change mode of", path())
        try removeOthers(from: file, path: path())
        for (name, value) in attributes {
            try checked(
                cstorage_fsetxattr(file, name, value, value.count), "set attribute \(text(name)) of", path())
        }
        try setTimes(path()) { futimens(file, $0) }
    }

    /// Gives them to an entry that cannot be opened, which was made just now.
    func apply(toSpecial name: UnsafePointer<CChar>, in directory: Int32, path: @autoclosure () -> String)
        throws
    {
        try posix(
            fchownat(directory, name, stat.uid, stat.gid, AT_SYMLINK_NOFOLLOW), "change owner of", path())
        // Nobody else reaches the directory, so the name is still no symlink.
        if !stat.isSymlink {
            try posix(fchmodat(directory, name, stat.permissions, 0), "change mode of", path())
        }
        if !attributes.isEmpty {
            let whole = ProcPath.bytes(directory, name)
            for (attribute, value) in attributes {
                try checked(
                    cstorage_lsetxattr(whole, attribute, value, value.count),
                    "set attribute \(text(attribute)) of", path())
            }
        }
        try setTimes(path()) { utimensat(directory, name, $0, AT_SYMLINK_NOFOLLOW) }
    }

    /// Removes what the entry has beside: what it had before, or took from its directory (a default ACL).
    private func removeOthers(from file: Int32, path: @autoclosure () -> String) throws {
        let size = cstorage_flistxattr(file, nil, 0)
        if size <= 0 { return }
        var names = [CChar](repeating: 0, count: TreeFormat.longestAttribute)
        let filled = cstorage_flistxattr(file, &names, names.count)
        if filled <= 0 { return }
        for name in names[..<filled].split(separator: 0).map({ Array($0) + [0] }) {
            if attributes.contains(where: { $0.name == name })
                || TreeFormat.ownAttributes.contains(text(name))
            {
                continue
            }
            let result = cstorage_fremovexattr(file, name)
            if result == -ENODATA { continue }
            try checked(result, "remove attribute \(text(name)) of", path())
        }
    }

    private func setTimes(
        _ path: @autoclosure () -> String, _ set: (UnsafePointer<timespec>) -> Int32
    ) throws {
        let times = stat.times
        let result = withUnsafePointer(to: times) {
            $0.withMemoryRebound(to: timespec.self, capacity: 2) { set($0) }
        }
        try posix(result, "set times of", path())
    }

    private func text(_ name: [CChar]) -> String {
        name.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    }
}
