internal import Glibc
internal import SwiftProtobuf

/// An image file of CRIU: two magic numbers, then entries, each a length and that many bytes.
public struct CRIUImage: Sendable {
    /// The kinds of image Apus reads, by their second magic number.
    public struct Magic: Sendable, Hashable {
        let common: UInt32
        let own: UInt32

        private static let images: UInt32 = 0x5456_4319
        private static let service: UInt32 = 0x5510_5940

        /// `stats-dump`, `stats-restore`.
        public static let statistics = Magic(common: service, own: 0x5709_3306)
        /// `files.img`: every open file.
        public static let files = Magic(common: images, own: 0x5630_3138)
        /// `tty-info.img`: the terminals.
        public static let terminals = Magic(common: images, own: 0x5945_3036)
        /// `remap-fpath.img`: files whose names are gone.
        public static let remaps = Magic(common: images, own: 0x5913_3954)
        /// `mountpoints-N.img`: the mounts of a namespace.
        public static let mounts = Magic(common: images, own: 0x5556_3928)
        /// `pagemap-N.img`: which pages of a process there are.
        public static let pagemap = Magic(common: images, own: 0x5608_4025)
        /// `pstree.img`: the processes.
        public static let processTree = Magic(common: images, own: 0x5027_3030)
        /// `core-N.img`: a thread, or a process by its main thread.
        static let core = Magic(common: images, own: 0x5505_3847)
        /// `ids-N.img`: what a process shares with others.
        static let identities = Magic(common: images, own: 0x5443_2030)
        /// `mm-N.img`: what a process has mapped.
        static let memory = Magic(common: images, own: 0x5749_2820)
        /// `fdinfo-N.img`: a table of descriptors.
        static let descriptors = Magic(common: images, own: 0x5621_3732)
        /// `memfd.img`: memory files.
        static let memoryFiles = Magic(common: images, own: 0x4845_3499)
        /// `tcp-stream-N.img`: a connection's queues.
        static let stream = Magic(common: images, own: 0x5146_5506)
    }

    /// The largest file read. The images read here are lists, never memory.
    static let largestFile = 256 << 20
    /// The largest single entry; CRIU's own are below a megabyte.
    static let largestEntry = 16 << 20

    /// The name used in errors.
    public let name: String
    /// What kind of image it is.
    public let magic: Magic
    /// The entries, undecoded.
    public var entries: [[UInt8]]

    /// Reads an image file.
    public init(path: String, magic: Magic) throws(CRIUError) {
        try self.init(path: path, magic: magic, largest: Self.largestFile)
    }

    /// Reads an image file of a given size at most.
    init(path: String, magic: Magic, largest: Int) throws(CRIUError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            throw CRIUError(.badImage, "cannot open \(path): \(errorText(errno))", errnoCode: errno)
        }
        defer { _ = close(descriptor) }
        var information = stat()
        guard fstat(descriptor, &information) == 0, information.st_mode & S_IFMT == S_IFREG else {
            throw CRIUError(.badImage, "\(path) is not a regular file")
        }
        guard information.st_size <= largest else {
            throw CRIUError(
                .badImage, "\(path) has \(information.st_size) bytes; no such image is that large")
        }
        var bytes = [UInt8](repeating: 0, count: Int(information.st_size))
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes { buffer in
                read(descriptor, buffer.baseAddress?.advanced(by: filled), buffer.count - filled)
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            filled += count
        }
        try self.init(name: path, bytes: Array(bytes.prefix(filled)), magic: magic)
    }

    /// Reads the bytes of an image file.
    public init(name: String, bytes: [UInt8], magic: Magic) throws(CRIUError) {
        self.name = name
        self.magic = magic
        guard bytes.count >= 8, Self.word(bytes, 0) == magic.common, Self.word(bytes, 4) == magic.own else {
            throw CRIUError(.badImage, "\(name) does not begin as such an image does")
        }
        var entries: [[UInt8]] = []
        var position = 8
        while position < bytes.count {
            guard bytes.count - position >= 4 else { throw Self.truncated(name, position) }
            let length = Int(Self.word(bytes, position))
            position += 4
            guard length <= Self.largestEntry else {
                throw CRIUError(.badImage, "\(name): an entry at \(position) claims \(length) bytes")
            }
            guard bytes.count - position >= length else { throw Self.truncated(name, position) }
            entries.append(Array(bytes[position..<position + length]))
            position += length
        }
        self.entries = entries
    }

    /// The image as bytes, as CRIU writes it.
    public var bytes: [UInt8] {
        var result = Self.bytes(of: magic.common) + Self.bytes(of: magic.own)
        for entry in entries { result += Self.bytes(of: UInt32(entry.count)) + entry }
        return result
    }

    /// Decodes one entry.
    func decode<Message: SwiftProtobuf.Message>(_ entry: [UInt8]) throws(CRIUError) -> Message {
        do {
            return try Message(serializedBytes: entry)
        } catch {
            throw CRIUError(.badImage, "\(name): an entry of \(entry.count) bytes cannot be read: \(error)")
        }
    }

    private static func word(_ bytes: [UInt8], _ position: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[position + $1]) << UInt32(8 * $1) }
    }

    private static func bytes(of word: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(8 * $0)) }
    }

    private static func truncated(_ name: String, _ position: Int) -> CRIUError {
        CRIUError(.badImage, "\(name) is cut short at byte \(position)")
    }
}
