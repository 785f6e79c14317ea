public import ContainerRuntime
import Glibc
public import LinuxSystem

extension CheckpointStore {
    /// Sends a whole checkpoint, memory included, through a connected stream socket to `receive` on another machine. What
    /// does not agree with its manifest is not sent: what the other side makes of it would agree with its own.
    public static func send(_ directory: String, over socket: FileDescriptor) async throws {
        try await onThread {
            let manifest = try Manifest(readingFrom: directory)
            try manifest.verify(directory, .allButMemory)
            try manifest.verify(directory, .memoryOnly)
            var reader = try CheckpointReader(directory: directory)
            while let chunk = try reader.next() {
                let message = chunk.encoded()
                try socket.write(CheckpointFrame.header(message.count))
                try socket.write(message)
            }
        }
    }

    /// Makes the checkpoint that `send` sends, and returns its record. On failure nothing of it is left.
    /// - Parameter limit: the most bytes that are taken.
    public static func receive(into directory: String, over socket: FileDescriptor, limit: Int64) async throws
        -> CheckpointRecord
    {
        let receiver = try CheckpointReceiver(directory: directory, limit: limit)
        do {
            return try await onThread {
                while true {
                    let chunk = try CheckpointChunk(decoding: CheckpointFrame.read(from: socket))
                    try receiver.accept(chunk)
                    if case .end = chunk { break }
                }
                let record = try receiver.finish()
                try seal(directory)
                return record
            }
        } catch {
            try? remove(directory: directory)
            throw error
        }
    }
}

/// Pieces of a checkpoint in a stream: each after its length, four bytes, the lowest first.
enum CheckpointFrame {
    /// A piece has no more: its content, its name and a little.
    private static let most = CheckpointReader.chunkSize + 300

    static func header(_ length: Int) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
    }

    static func read(from socket: FileDescriptor) throws -> [UInt8] {
        let length = try exactly(4, from: socket).reversed().reduce(0) { $0 << 8 | Int($1) }
        guard length <= most else {
            throw CheckpointError(.altered, "a message about a checkpoint makes no sense")
        }
        return try exactly(length, from: socket)
    }

    private static func exactly(_ count: Int, from socket: FileDescriptor) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let more = try socket.read(upTo: count - bytes.count)
            guard !more.isEmpty else {
                throw CheckpointError(
                    .altered, "cannot take over the checkpoint that is being sent: it is not complete")
            }
            bytes += more
        }
        return bytes
    }
}
