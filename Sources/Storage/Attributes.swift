import CStorage
import Glibc

/// Copies what an inode carries beside its data: owner, mode, extended attributes (ACLs and file capabilities
/// are such), times. Times come last, as everything else changes them.
struct AttributeCopier: ~Copyable {
    private let names = UnsafeMutableBufferPointer<CChar>.allocate(capacity: 64 << 10)
    private let value = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
    private let user = geteuid()
    private let group = getegid()

    deinit {
        names.deallocate()
        value.deallocate()
    }

    /// Gives an open file or directory the attributes of another.
    /// `isNew`: made just now by this process, so it has its owner and no attributes.
    func copy(from source: Int32, to target: Int32, stat: FileStat, isNew: Bool, path: UnsafePointer<CChar>)
        throws
    {
        if !isNew || stat.uid != user || stat.gid != group {
            try posix(fchown(target, stat.uid, stat.gid), "change owner of", String(cString: path))
        }
        // Always: a change of owner clears setuid, and the umask (any thread may change it) takes bits away.
        try posix(fchmod(target, stat.permissions), "change mode of", String(cString: path))
        if !isNew { try removeAttributes(missingFrom: source, of: target, path: path) }
        try copyAttributes(from: source, to: target, path: path)
        try setTimes(target, stat, path: path)
    }

    /// Owner, attributes and times of an entry that cannot be opened: a symlink, a fifo, a device.
    func copySpecial(
        from sourceDirectory: Int32, to targetDirectory: Int32, name: UnsafePointer<CChar>, stat: FileStat
    ) throws {
        if stat.uid != user || stat.gid != group {
            try posix(
                fchownat(targetDirectory, name, stat.uid, stat.gid, AT_SYMLINK_NOFOLLOW), "change owner of",
                String(cString: name))
        }
        if !stat.isSymlink {
            // Made by us in a directory nobody else can reach: fchmodat follows no symlink here.
            try posix(
                fchmodat(targetDirectory, name, stat.permissions, 0), "change mode of", String(cString: name))
        }
        try copySpecialAttributes(from: sourceDirectory, to: targetDirectory, name: name)
        let times = stat.times
        let result = withUnsafePointer(to: times) {
            $0.withMemoryRebound(to: timespec.self, capacity: 2) {
                utimensat(targetDirectory, name, $0, AT_SYMLINK_NOFOLLOW)
            }
        }
        try posix(result, "set times of", String(cString: name))
    }

    private func setTimes(_ target: Int32, _ stat: FileStat, path: UnsafePointer<CChar>) throws {
        let times = stat.times
        let result = withUnsafePointer(to: times) {
            $0.withMemoryRebound(to: timespec.self, capacity: 2) { futimens(target, $0) }
        }
        try posix(result, "set times of", String(cString: path))
    }

    private func copyAttributes(from source: Int32, to target: Int32, path: UnsafePointer<CChar>) throws {
        let size = cstorage_flistxattr(source, names.baseAddress, names.count)
        if size == 0 || size == -Int(EOPNOTSUPP) { return }
        try checked(size, "list attributes of", String(cString: path))
        try forEachName(size) { attribute in
            let length = cstorage_fgetxattr(source, attribute, value.baseAddress, value.count)
            if length == -Int(ENODATA) { return }
            try checked(length, "read attribute \(String(cString: attribute)) of", String(cString: path))
            try checked(
                cstorage_fsetxattr(target, attribute, value.baseAddress, length),
                "set attribute \(String(cString: attribute)) of", String(cString: path))
        }
    }

    private func copySpecialAttributes(
        from sourceDirectory: Int32, to targetDirectory: Int32, name: UnsafePointer<CChar>
    ) throws {
        let entry = String(cString: name)
        let source = "/proc/self/fd/\(sourceDirectory)/\(entry)"
        let size = cstorage_llistxattr(source, names.baseAddress, names.count)
        if size <= 0 { return }
        let target = "/proc/self/fd/\(targetDirectory)/\(entry)"
        try forEachName(size) { attribute in
            let length = cstorage_lgetxattr(source, attribute, value.baseAddress, value.count)
            if length < 0 { return }
            try checked(
                cstorage_lsetxattr(target, attribute, value.baseAddress, length),
                "set attribute \(String(cString: attribute)) of", entry)
        }
    }

    private func removeAttributes(
        missingFrom source: Int32, of target: Int32, path: UnsafePointer<CChar>
    ) throws {
        let size = cstorage_flistxattr(target, names.baseAddress, names.count)
        if size <= 0 { return }
        try forEachName(size) { attribute in
            guard cstorage_fgetxattr(source, attribute, nil, 0) == -Int(ENODATA) else { return }
            try checked(
                cstorage_fremovexattr(target, attribute), "remove attribute \(String(cString: attribute)) of",
                String(cString: path))
        }
    }

    private func forEachName(_ size: Int, _ body: (UnsafePointer<CChar>) throws -> Void) throws {
        guard let base = names.baseAddress else { return }
        var offset = 0
        while offset < size {
            let name = UnsafePointer(base + offset)
            try body(name)
            offset += strlen(name) + 1
        }
    }
}
