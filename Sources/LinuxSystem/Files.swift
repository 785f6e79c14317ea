public import Glibc

/// Small whole-file reads and writes, and other everyday file work.
public enum Files {
    /// Reads a file; no more than `limit` bytes of it.
    public static func bytes(_ path: String, limit: Int = 64 << 20) throws -> [UInt8] {
        try naming("read", path) { try FileDescriptor.open(path, O_RDONLY).readAll(limit: limit) }
    }

    /// Reads a text file. Bytes that are not UTF-8 are replaced.
    public static func text(_ path: String, limit: Int = 64 << 20) throws -> String {
        String(decoding: try bytes(path, limit: limit), as: UTF8.self)
    }

    /// Writes into an existing file, as /proc and /sys want it: one write, no truncation.
    public static func poke(_ path: String, _ text: String) throws {
        try naming("write \"\(text.prefix(40))\" to", path) {
            try FileDescriptor.open(path, O_WRONLY).write(text)
        }
    }

    /// Writes a file anew.
    public static func write(_ path: String, _ text: String, mode: mode_t = 0o600) throws {
        try write(path, Array(text.utf8), mode: mode)
    }

    /// Writes a file anew.
    public static func write(_ path: String, _ bytes: [UInt8], mode: mode_t = 0o600) throws {
        try naming("write", path) {
            try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: mode).write(bytes)
        }
    }

    /// Replaces a file so that a reader sees the old or the new content, whole; also after a crash if `sync`
    /// is set.
    public static func replace(_ path: String, _ bytes: [UInt8], mode: mode_t = 0o600, sync: Bool = true)
        throws
    {
        let temporary = path + ".new"
        let file = try FileDescriptor.open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
        try naming("write", temporary) { try file.write(bytes) }
        if sync { try check("fsync", "write \(temporary) to disk") { fsync(file.rawValue) } }
        try check("rename", "replace \(path)") { rename(temporary, path) }
    }

    /// Makes a directory and those above it that are missing. One that exists is left as it is.
    public static func makeDirectories(_ path: String, mode: mode_t = 0o755) throws {
        if isDirectory(path) { return }
        let parent = path.split(separator: "/").dropLast().joined(separator: "/")
        if !parent.isEmpty { try makeDirectories((path.hasPrefix("/") ? "/" : "") + parent, mode: mode) }
        if mkdir(path, mode) != 0, errno != EEXIST { throw SystemError("mkdir", "make directory \(path)") }
    }

    /// Whether a directory is there (a symlink to one counts).
    public static func isDirectory(_ path: String) -> Bool {
        var result = stat()
        return stat(path, &result) == 0 && result.st_mode & S_IFMT == S_IFDIR
    }

    /// Whether anything is there, also a dangling symlink.
    public static func exists(_ path: String) -> Bool {
        var result = stat()
        return lstat(path, &result) == 0
    }

    /// The target of a symlink.
    public static func readLink(_ path: String) throws -> String {
        var room = [CChar](repeating: 0, count: 4096)
        let count = try check("readlink", "read link \(path)") { readlink(path, &room, 4096) }
        return String(decoding: room[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The names in a directory, without `.` and `..`, in no order.
    public static func names(in path: String) throws -> [String] {
        try DirectoryReader.names(FileDescriptor.open(path, O_RDONLY | O_DIRECTORY), path)
    }

    /// The names of the directories in a directory, without `.` and `..`, in no order.
    public static func directories(in path: String) throws -> [String] {
        try DirectoryReader.directories(FileDescriptor.open(path, O_RDONLY | O_DIRECTORY), path)
    }

    /// Runs `body`; a system error in it gets the path into its words.
    private static func naming<T>(_ verb: String, _ path: String, _ body: () throws -> T) throws -> T {
        do {
            return try body()
        } catch let error as SystemError where error.call != "open" {
            throw SystemError(call: error.call, errno: error.errno, context: "\(verb) \(path)")
        }
    }
}
