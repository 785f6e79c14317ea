import CStorage
import Glibc

typealias FileStat = cstorage_stat

/// The type bits of a mode.
package enum FileType {
    /// All of them.
    package static let mask: UInt32 = 0o170000
    /// A regular file.
    package static let regular: UInt32 = 0o100000
    /// A directory.
    package static let directory: UInt32 = 0o040000
    /// A symlink.
    package static let symlink: UInt32 = 0o120000
    /// A character device.
    package static let character: UInt32 = 0o020000
    /// A named pipe.
    package static let fifo: UInt32 = 0o010000
    /// A unix socket.
    package static let socket: UInt32 = 0o140000
}

extension FileStat {
    /// The stat of `name` below a directory, never following a symlink, or nil if it is not there.
    static func find(_ directory: Int32, _ name: UnsafePointer<CChar>) throws -> FileStat? {
        var stat = FileStat()
        let result = cstorage_stat_at(directory, name, &stat)
        if result == -ENOENT { return nil }
        try checked(result, "stat", String(cString: name))
        return stat
    }

    /// The stat of an open file.
    static func of(_ descriptor: Int32, _ path: @autoclosure () -> String) throws -> FileStat {
        var stat = FileStat()
        try checked(cstorage_stat_at(descriptor, "", &stat), "stat", path())
        return stat
    }

    /// The type bits of the mode.
    var type: UInt32 { mode & FileType.mask }
    /// The permission bits of the mode.
    var permissions: mode_t { mode_t(mode & 0o7777) }
    var isRegular: Bool { type == FileType.regular }
    var isDirectory: Bool { type == FileType.directory }
    var isSymlink: Bool { type == FileType.symlink }
    var isSocket: Bool { type == FileType.socket }

    /// Whether the file has holes.
    var isSparse: Bool { Int64(blocks) * 512 < size }

    /// Access and modification time, for utimensat.
    var times: (timespec, timespec) {
        (
            timespec(tv_sec: Int(atime_sec), tv_nsec: Int(atime_nsec)),
            timespec(tv_sec: Int(mtime_sec), tv_nsec: Int(mtime_nsec))
        )
    }
}

/// Walks the entries of an open directory.
///
/// `body` gets each name (valid during the call), without `.` and `..`.
func forEachEntry(
    of directory: Int32, buffer: UnsafeMutableRawBufferPointer, path: @autoclosure () -> String,
    _ body: (_ name: UnsafePointer<CChar>, _ type: UInt8) throws -> Void
) throws {
    while true {
        let filled = cstorage_getdents(directory, buffer.baseAddress, buffer.count)
        if filled == 0 || filled == -Int(ENOENT) { return }
        try checked(filled, "read directory", path())
        var offset = 0
        while offset < filled {
            var name: UnsafePointer<CChar>?
            var type: UInt8 = 0
            var inode: UInt64 = 0
            offset = cstorage_next_entry(buffer.baseAddress, offset, &name, &type, &inode)
            guard let name else { continue }
            if name[0] == 46 && (name[1] == 0 || (name[1] == 46 && name[2] == 0)) { continue }
            try body(name, type)
        }
    }
}

/// Room for directory entries: one for each worker of a walk.
final class EntryBuffer {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
    deinit { bytes.deallocate() }
}
