import Glibc
import LinuxSystem

/// A piece of a checkpoint on its way to another machine: of its record, or of an image.
public enum CheckpointChunk: Sendable, Hashable {
    /// The next bytes of a file. Files come one after the other.
    case file(name: String, bytes: [UInt8], isLast: Bool)
    /// Everything was sent: so many files, and so many bytes in them.
    case end(files: Int, bytes: Int64)

    /// As one message; at most `CheckpointReader.chunkSize` bytes of content and a short header.
    public func encoded() -> [UInt8] {
        switch self {
        case .file(let name, let bytes, let isLast):
            [isLast ? 2 : 1, UInt8(truncatingIfNeeded: name.utf8.count)] + Array(name.utf8) + bytes
        case .end(let files, let bytes):
            [3]
                + [UInt64(files), UInt64(bitPattern: bytes)].flatMap { number in
                    (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(8 * $0)) }
                }
        }
    }

    /// Reads such a message. What it names is not judged yet.
    public init(decoding message: [UInt8]) throws {
        let malformed = CheckpointError(.altered, "a message about a checkpoint makes no sense")
        guard let kind = message.first else { throw malformed }
        switch kind {
        case 1, 2:
            guard message.count >= 2, message.count >= 2 + Int(message[1]),
                message.count <= 2 + 255 + CheckpointReader.chunkSize
            else { throw malformed }
            let content = 2 + Int(message[1])
            guard let name = String(validating: message[2..<content], as: UTF8.self) else { throw malformed }
            self = .file(name: name, bytes: Array(message[content...]), isLast: kind == 2)
        case 3:
            guard message.count == 17 else { throw malformed }
            func number(_ from: Int) -> UInt64 {
                (0..<8).reduce(0) { $0 | UInt64(message[from + $1]) << UInt64(8 * $1) }
            }
            self = .end(files: Int(clamping: number(1)), bytes: Int64(clamping: number(9)))
        default: throw malformed
        }
    }
}

/// Reads a checkpoint, piece by piece: first the record, then the images that there are.
public struct CheckpointReader {
    /// The most bytes of content in a piece.
    public static let chunkSize = 256 << 10

    private let directory: String
    private var names: [String]
    private var current: (name: String, file: FileDescriptor)?
    private var files = 0
    private var bytes: Int64 = 0
    private var isDone = false

    /// The checkpoint in a directory.
    package init(directory: String) throws {
        self.directory = directory
        let images = try Files.names(in: "\(directory)/\(CheckpointStore.images)").filter {
            CheckpointReceiver.isImage($0)
        }
        names = [CheckpointStore.recordFile] + images.sorted()
        names.reverse()
    }

    /// The next piece; nil after the one that tells the end.
    public mutating func next() throws -> CheckpointChunk? {
        guard !isDone else { return nil }
        if current == nil {
            guard let name = names.popLast() else {
                isDone = true
                return .end(files: files, bytes: bytes)
            }
            let path =
                name == CheckpointStore.recordFile
                ? "\(directory)/\(name)" : "\(directory)/\(CheckpointStore.images)/\(name)"
            current = (name, try FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW))
            files += 1
        }
        guard let (name, file) = current else { return nil }
        let part = try file.read(upTo: Self.chunkSize)
        bytes += Int64(part.count)
        let isLast = part.count < Self.chunkSize
        if isLast { current = nil }
        return .file(name: name, bytes: part, isLast: isLast)
    }
}
