/// What an image may take at most, so that a hostile one cannot fill the host.
public struct UnpackLimits: Sendable, Hashable {
    /// Bytes of all files together. The free room of the file system, less a twentieth, limits them as well.
    public var bytes: UInt64
    /// Entries. The free inodes of the file system, less a twentieth, limit them as well.
    public var entries: UInt64
    /// The size of one file, holes included.
    public var fileSize: UInt64

    /// The defaults: 64 GiB, two million entries, files of 1 TiB.
    public init(bytes: UInt64 = 64 << 30, entries: UInt64 = 2_000_000, fileSize: UInt64 = 1 << 40) {
        self.bytes = bytes
        self.entries = entries
        self.fileSize = fileSize
    }
}

/// What unpacking an image came to.
public struct UnpackReport: Sendable, Hashable {
    /// Entries made.
    public var entries = 0
    /// Bytes of file data written.
    public var bytes: UInt64 = 0
    /// What was left out, in words: device nodes, sockets, attributes that are not allowed.
    public var notes: [String] = []
    /// How many more notes there would have been.
    public var notesLeftOut = 0

    /// An empty report.
    public init() {}

    mutating func note(_ text: String) {
        if notes.count < 50 { notes.append(text) } else { notesLeftOut += 1 }
    }
}
