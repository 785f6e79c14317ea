import CArchive
import CStorage
import Glibc
import LinuxSystem

/// Writes a directory tree into a tarball as it is: owners, modes, times, extended attributes, hard links, holes.
/// Sockets are left out: they belong to a process. Nothing may write to the tree meanwhile.
final class TreePacker {
    private let writer: TarWriter
    /// The names that files with several of them were written under first.
    private var links: [Inode: String] = [:]
    private let progress: (@Sendable (Int64) throws -> Void)?
    /// Bytes of file data packed so far.
    private(set) var bytes: Int64 = 0

    private struct Inode: Hashable {
        let device: UInt
        let number: UInt
    }

    /// `progress` gets the bytes of file data read so far; what it throws ends the packing.
    init(_ writer: TarWriter, progress: (@Sendable (Int64) throws -> Void)? = nil) {
        self.writer = writer
        self.progress = progress
    }

    /// Adds a directory with all that is in it, under a name such as `rootfs`.
    func add(_ directory: String, as name: String) throws {
        let root = try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        try addDirectory(root, as: name)
    }

    private func addDirectory(_ directory: FileDescriptor, as name: String) throws {
        let status = try directory.status()
        try writer.add(name + "/", status, attributes: Self.attributes(of: directory.rawValue)) { _ in }
        for child in try Self.names(in: directory) {
            var status = stat()
            guard fstatat(directory.rawValue, child, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
                throw SystemError("fstatat", "read \(name)/\(child)")
            }
            try add(child, status, in: directory, as: "\(name)/\(child)")
        }
    }

    private func add(_ child: String, _ status: stat, in directory: FileDescriptor, as name: String) throws {
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
            let next = openat(directory.rawValue, child, flags)
            if next < 0 { throw SystemError("openat", "read \(name)") }
            try addDirectory(FileDescriptor(owning: next), as: name)
        case S_IFSOCK:
            return
        default:
            if status.st_nlink > 1 {
                let inode = Inode(device: UInt(status.st_dev), number: UInt(status.st_ino))
                if let first = links[inode] { return try writer.addLink(name, to: first) }
                links[inode] = name
            }
            if status.st_mode & S_IFMT == S_IFREG {
                try addFile(child, in: directory, as: name)
            } else if status.st_mode & S_IFMT == S_IFLNK {
                try writer.add(name, status, symlink: try Self.target(child, in: directory))
            } else {
                try writer.add(name, status, attributes: []) { _ in }
            }
        }
    }

    private func addFile(_ child: String, in directory: FileDescriptor, as name: String) throws {
        let number = openat(directory.rawValue, child, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        if number < 0 { throw SystemError("openat", "read \(name)") }
        let file = FileDescriptor(owning: number)
        let status = try file.status()
        let size = Int64(status.st_size)
        // Holes are worth looking for where there are fewer blocks than bytes.
        let parts = Int64(status.st_blocks) * 512 < size ? Self.data(in: number, size: size) : nil
        try writer.add(
            name, status, attributes: Self.attributes(of: number), data: parts
        ) { write in
            var position: Int64 = 0
            for part in parts ?? [0..<size] {
                try write(nil, part.lowerBound - position)
                position = part.lowerBound
                while position < part.upperBound {
                    let count = try self.read(number, at: position, part.upperBound - position, name)
                    if count == 0 {
                        guard self.writer.sum == nil else {
                            throw ImageError(.system, "\(name) became shorter while it was read")
                        }
                        break
                    }
                    try write(UnsafeRawBufferPointer(rebasing: self.buffer[..<count]), 0)
                    position += Int64(count)
                    self.bytes += Int64(count)
                    try self.progress?(self.bytes)
                }
            }
            try write(nil, size - position)
        }
    }

    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)

    deinit { buffer.deallocate() }

    private func read(_ file: Int32, at offset: Int64, _ most: Int64, _ name: String) throws -> Int {
        while true {
            let count = pread(file, buffer.baseAddress, min(buffer.count, Int(most)), off_t(offset))
            if count >= 0 { return count }
            if errno != EINTR { throw SystemError("pread", "read \(name)") }
        }
    }

    /// Where a file has data; what lies between is holes.
    private static func data(in file: Int32, size: Int64) -> [Range<Int64>] {
        // Numbers of the kernel's; the C library names them only for GNU programs.
        let (seekData, seekHole): (Int32, Int32) = (3, 4)
        var parts: [Range<Int64>] = []
        var position: Int64 = 0
        while position < size {
            let start = Int64(lseek(file, off_t(position), seekData))
            // No more data; or a file system that cannot tell, for which all of it is data.
            if start < 0 { return errno == ENXIO ? parts : [0..<size] }
            let end = Int64(lseek(file, off_t(start), seekHole))
            guard end > start else { return [0..<size] }
            parts.append(start..<min(end, size))
            position = end
        }
        return parts
    }

    /// The names in an open directory, in order.
    static func names(in directory: FileDescriptor) throws -> [String] {
        // A descriptor of its own: closing the stream closes it.
        let copy = openat(directory.rawValue, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let stream = fdopendir(copy) else {
            throw SystemError("fdopendir", "read a directory")
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private static func target(_ link: String, in directory: FileDescriptor) throws -> String {
        let bytes = try [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
            let length = buffer.withMemoryRebound(to: CChar.self) { room in
                room.baseAddress.map { readlinkat(directory.rawValue, link, $0, room.count) } ?? -1
            }
            if length < 0 { throw SystemError("readlinkat", "read the link \(link)") }
            count = length
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The extended attributes that an image keeps: users', ACLs, file capabilities.
    private static func attributes(of file: Int32) -> [(name: String, value: [UInt8])] {
        let list = [CChar](unsafeUninitializedCapacity: 64 << 10) { buffer, count in
            count = max(0, cstorage_flistxattr(file, buffer.baseAddress, buffer.count))
        }
        return list.split(separator: 0).compactMap { part in
            let name = String(decoding: part.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard
                name.hasPrefix("user.") || name.hasPrefix("system.posix_acl_")
                    || name == "security.capability"
            else { return nil }
            var failed = false
            let value = [UInt8](unsafeUninitializedCapacity: 64 << 10) { buffer, count in
                let size = cstorage_fgetxattr(file, name, buffer.baseAddress, buffer.count)
                failed = size < 0
                count = max(0, size)
            }
            return failed ? nil : (name, value)
        }
    }
}
