import CLinux
import Glibc

/// The kernel's name for a file of a file system: good as long as the file exists, whatever it is called.
public struct FileHandle: Sendable, Hashable {
    /// The kind of handle; each file system has its own.
    public var type: Int32
    /// What the file system made of it.
    public var bytes: [UInt8]

    /// A handle that was written down.
    public init(type: Int32, bytes: [UInt8]) {
        self.type = type
        self.bytes = bytes
    }

    /// The handle of an open file (opened as a place, `OpenFlags.path`, is enough).
    public init(of file: FileDescriptor) throws {
        var room = [UInt8](repeating: 0, count: 128)
        var size = UInt32(room.count)
        var type: Int32 = 0
        try check("name_to_handle_at", "name a file by its handle") {
            apus_name_to_handle(file.rawValue, &type, &room, &size)
        }
        self.type = type
        bytes = Array(room.prefix(Int(size)))
    }

    /// Opens the file as a place: no symlink is followed. `mount` is any directory of its file system.
    public func open(on mount: FileDescriptor) throws -> FileDescriptor {
        FileDescriptor(
            owning: try check("open_by_handle_at", "open a file by its handle") {
                apus_open_by_handle(mount.rawValue, type, bytes, UInt32(bytes.count))
            })
    }
}
