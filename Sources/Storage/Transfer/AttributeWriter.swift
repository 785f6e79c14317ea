import CStorage
import Glibc

/// Puts owner, mode, times and extended attributes of entries into a stream.
struct AttributeWriter: ~Copyable {
    private let names = UnsafeMutableBufferPointer<CChar>.allocate(capacity: 64 << 10)
    private let value = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

    deinit {
        names.deallocate()
        value.deallocate()
    }

    /// Those of an open file or directory.
    func write(_ stat: FileStat, of file: Int32, path: UnsafePointer<CChar>, to writer: RecordWriter) throws {
        try write(stat, to: writer)
        let size = cstorage_flistxattr(file, names.baseAddress, names.count)
        if size == -Int(EOPNOTSUPP) { return try writer.number(0) }
        try checked(size, "list attributes of", String(cString: path))
        try writeAttributes(size, to: writer) { name in
            let length = cstorage_fgetxattr(file, name, value.baseAddress, value.count)
            if length == -Int(ENODATA) { return -1 }
            return try checked(length, "read attribute \(String(cString: name)) of", String(cString: path))
        }
    }

    /// Those of an entry that cannot be opened: a symlink, a fifo, a device.
    func write(
        _ stat: FileStat, ofSpecial name: UnsafePointer<CChar>, in directory: Int32, to writer: RecordWriter
    ) throws {
        try write(stat, to: writer)
        let path = ProcPath.bytes(directory, name)
        let size = cstorage_llistxattr(path, names.baseAddress, names.count)
        if size <= 0 { return try writer.number(0) }
        try writeAttributes(size, to: writer) { attribute in
            max(-1, cstorage_lgetxattr(path, attribute, value.baseAddress, value.count))
        }
    }

    private func write(_ stat: FileStat, to writer: RecordWriter) throws {
        try writer.number(UInt64(stat.mode))
        try writer.number(UInt64(stat.uid))
        try writer.number(UInt64(stat.gid))
        try writer.signed(stat.mtime_sec)
        try writer.number(UInt64(stat.mtime_nsec))
        try writer.signed(stat.atime_sec)
        try writer.number(UInt64(stat.atime_nsec))
    }

    /// Each attribute as 1, name, value; a 0 ends them. One that `read` does not find (-1) is left out.
    private func writeAttributes(
        _ size: Int, to writer: RecordWriter, read: (UnsafePointer<CChar>) throws -> Int
    ) throws {
        var offset = 0
        while offset < size, let base = names.baseAddress {
            let name = UnsafePointer(base + offset)
            offset += strlen(name) + 1
            if TreeFormat.ownAttributes.contains(String(cString: name)) { continue }
            let length = try read(name)
            if length < 0 { continue }
            try writer.number(1)
            try writer.name(name)
            try writer.counted(UnsafeRawBufferPointer(rebasing: value[..<length]))
        }
        try writer.number(0)
    }
}

/// Paths for calls that take no descriptor.
enum ProcPath {
    /// `/proc/self/fd/N/name`, ended by a zero; the name as the bytes it is.
    static func bytes(_ directory: Int32, _ name: UnsafePointer<CChar>) -> [CChar] {
        var path = Array("/proc/self/fd/\(directory)/".utf8CString.dropLast())
        path.append(contentsOf: UnsafeBufferPointer(start: name, count: strlen(name) + 1))
        return path
    }
}
