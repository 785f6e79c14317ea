import CStorage
import Glibc
import LinuxSystem

/// A file that holds a file system, and the loop device that shows it as a disk.
struct LoopFile: Sendable {
    let path: String

    /// Makes the file: nothing of it takes room on disk yet.
    func create(size: UInt64) throws {
        let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        if file < 0 { throw FileFailure("make", path, errno) }
        defer { close(file) }
        if ftruncate(file, Int(size)) != 0 {
            let failure = FileFailure("enlarge", path, errno)
            unlink(path)
            throw failure
        }
    }

    /// Calls `body` with the device of the file: the one it has, or a new one that lets go of it with its last user.
    func withDevice<Result>(_ body: (String) throws -> Result) throws -> Result {
        let file = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC)
        if file < 0 { throw FileFailure("open", path, errno) }
        defer { close(file) }
        // A second device of the same file would be a second disk with the same file system on it.
        if let (device, name) = try present(file) {
            defer { close(device) }
            return try body(name)
        }
        var room = [CChar](repeating: 0, count: 64)
        let device = try room.withUnsafeMutableBufferPointer {
            try checked(cstorage_loop_attach(file, $0.baseAddress, $0.count), "attach a loop device to", path)
        }
        defer { close(device) }
        return try body(
            String(decoding: room.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }

    /// The file's size.
    func size() throws -> UInt64 {
        var status = stat()
        try posix(stat(path, &status), "look at", path)
        return UInt64(status.st_size)
    }

    /// Lets the file, and its device, have more room.
    func grow(to size: UInt64) throws {
        try posix(truncate(path, Int(size)), "enlarge", path)
        let file = open(path, O_RDONLY | O_CLOEXEC)
        if file < 0 { throw FileFailure("open", path, errno) }
        defer { close(file) }
        if let (device, _) = try present(file) {
            defer { close(device) }
            try checked(cstorage_loop_grow(device), "enlarge the loop device of", path)
        }
    }

    /// The device that is attached to the file already.
    private func present(_ file: Int32) throws -> (Int32, String)? {
        var status = stat()
        try posix(fstat(file, &status), "look at", path)
        for name in (try? Files.names(in: "/sys/block")) ?? [] where name.hasPrefix("loop") {
            guard Files.exists("/sys/block/\(name)/loop/backing_file") else { continue }
            let device = open("/dev/\(name)", O_RDWR | O_CLOEXEC)
            if device < 0 { continue }
            var (number, inode): (UInt64, UInt64) = (0, 0)
            if cstorage_loop_status(device, &number, &inode) == 0, inode == UInt64(status.st_ino),
                number == UInt64(status.st_dev)
            {
                return (device, "/dev/\(name)")
            }
            close(device)
        }
        return nil
    }
}
