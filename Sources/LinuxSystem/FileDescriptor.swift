import CLinux
public import Glibc
import Synchronization

/// A file descriptor with an owner: closed when the last reference goes, or earlier by `close()`.
public final class FileDescriptor: Sendable {
    private let number: Atomic<Int32>

    /// Takes over an open descriptor.
    public init(owning number: Int32) { self.number = Atomic(number) }

    deinit { close() }

    /// The descriptor's number; -1 once closed or released.
    public var rawValue: Int32 { number.load(ordering: .acquiring) }

    /// Whether it is still open here.
    public var isOpen: Bool { rawValue >= 0 }

    /// Closes it now. May be called again.
    public func close() {
        let old = number.exchange(-1, ordering: .acquiringAndReleasing)
        if old >= 0 { _ = Glibc.close(old) }
    }

    /// Gives the number away: from now on the caller closes it.
    public func release() -> Int32 { number.exchange(-1, ordering: .acquiringAndReleasing) }

    /// Opens a path; `O_CLOEXEC` is always added.
    public static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o600) throws -> FileDescriptor {
        FileDescriptor(
            owning: try check("open", "open \(path)") { Glibc.open(path, flags | O_CLOEXEC, mode) })
    }

    /// Opens a path relative to this directory; `O_CLOEXEC` is always added.
    public func open(at path: String, _ flags: Int32, mode: mode_t = 0o600) throws -> FileDescriptor {
        FileDescriptor(
            owning: try check("openat", "open \(path)") {
                Glibc.openat(rawValue, path, flags | O_CLOEXEC, mode)
            })
    }

    /// Another descriptor of the same open file.
    public func duplicate() throws -> FileDescriptor {
        FileDescriptor(
            owning: try check("fcntl", "duplicate a file descriptor") { fcntl(rawValue, F_DUPFD_CLOEXEC, 3) })
    }

    /// Lets a program that this process executes inherit it, or not.
    public func setInheritable(_ inheritable: Bool) throws {
        try check("fcntl", "mark a file descriptor") {
            fcntl(rawValue, F_SETFD, inheritable ? 0 : FD_CLOEXEC)
        }
    }

    /// Makes reads and writes return at once with EAGAIN, or wait.
    public func setNonBlocking(_ on: Bool) throws {
        let flags = try check("fcntl", "read flags of a file descriptor") { fcntl(rawValue, F_GETFL) }
        let wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK
        try check("fcntl", "set flags of a file descriptor") { fcntl(rawValue, F_SETFL, wanted) }
    }

    /// What `fstat` says.
    public func status() throws -> stat {
        var result = stat()
        try check("fstat", "read a file's attributes") { fstat(rawValue, &result) }
        return result
    }

    /// Reads once, up to `count` bytes; empty at the end of the file.
    public func read(upTo count: Int) throws -> [UInt8] {
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { room, used in
            do {
                used = try check("read", "read") { Glibc.read(rawValue, room.baseAddress, count) }
            } catch {
                failure = error as? SystemError
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Reads to the end of the file, but no more than `limit` bytes.
    public func readAll(limit: Int = 64 << 20) throws -> [UInt8] {
        var result: [UInt8] = []
        // Most files that are read whole are those of /proc and /sys, of some lines.
        var room = 4096
        while result.count < limit {
            let part = try read(upTo: min(room, limit - result.count))
            if part.isEmpty { break }
            if part.count == room { room = min(room * 4, 1 << 20) }
            if result.isEmpty {
                result = part
            } else {
                result.append(contentsOf: part)
            }
        }
        return result
    }

    /// Writes everything.
    public func write(_ bytes: some Collection<UInt8>) throws {
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            let count = try rest.withUnsafeBytes { room in
                try check("write", "write") { Glibc.write(rawValue, room.baseAddress, room.count) }
            }
            rest = rest.dropFirst(count)
        }
    }

    /// Writes a text.
    public func write(_ text: String) throws { try write(text.utf8) }

    /// The number of the kind of file system it is on (`f_type` of statfs(2)); -1 if the kernel does not say.
    public var fileSystem: Int64 { apus_file_system(rawValue) }

    /// Reserves room on the disk for bytes to come, beyond the end of the file too, which stays where it is.
    public func reserve(_ bytes: Range<Int64>) throws {
        try check("fallocate", "reserve room for a file") {
            apus_reserve(rawValue, bytes.lowerBound, Int64(bytes.count))
        }
    }

    /// A pipe: what is written to the second comes out of the first.
    public static func pipe() throws -> (read: FileDescriptor, write: FileDescriptor) {
        var ends: [Int32] = [-1, -1]
        try check("pipe2", "make a pipe") { apus_pipe(&ends) }
        return (FileDescriptor(owning: ends[0]), FileDescriptor(owning: ends[1]))
    }

    /// A file that lies in memory alone.
    public static func memory(named name: String) throws -> FileDescriptor {
        FileDescriptor(
            owning: try check("memfd_create", "make a file in memory") { apus_memfd_create(name, 1) })
    }

    /// Reads the whole file from its beginning, but no more than `limit` bytes.
    public func readFromStart(limit: Int = 64 << 20) throws -> [UInt8] {
        _ = lseek(rawValue, 0, SEEK_SET)
        return try readAll(limit: limit)
    }

    /// `/proc/self/fd/N`: a path for calls that take no descriptor.
    public var procPath: String { "/proc/self/fd/\(rawValue)" }
}

/// Flags of open(2) that glibc keeps for those who ask for GNU extensions.
public enum OpenFlags {
    /// Only a place in the tree: nothing is opened (O_PATH).
    public static let path: Int32 = 0o10000000
    /// A file without a name (O_TMPFILE).
    public static let temporary: Int32 = 0o20000000 | O_DIRECTORY
}
