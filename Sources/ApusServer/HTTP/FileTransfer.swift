import ApusCore
import Glibc
import HTTPTypes
import HummingbirdCore
import LinuxSystem
import NIOCore
import NIOPosix

/// Sends files, in pieces, as fast as the client takes them.
enum FileTransfer {
    private static let chunk = 256 << 10

    /// A reply with the content of a file of the daemon's own.
    static func download(_ path: String, headers: HTTPFields) throws -> HTTPReply {
        let file = try LinuxSystem.FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW)
        let size = Int(try file.status().st_size)
        return HTTPReply(status: .ok, headers: headers, body: body(of: file, size: size))
    }

    /// A reply with files as the parts of a form.
    static func download(parts: [(field: String, file: (path: String, name: String))]) throws -> HTTPReply {
        let boundary = "apus-\(UInt64.random(in: .min ... .max))-\(UInt64.random(in: .min ... .max))"
        var length = 0
        var pieces: [(head: String, file: LinuxSystem.FileDescriptor, size: Int)] = []
        for (field, (path, name)) in parts {
            let file = try LinuxSystem.FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW)
            let size = Int(try file.status().st_size)
            let head =
                (pieces.isEmpty ? "" : "\r\n") + "--\(boundary)\r\n"
                + "Content-Disposition: form-data; name=\"\(field)\"; filename=\"\(name)\"\r\n"
                + "Content-Type: application/octet-stream\r\n\r\n"
            pieces.append((head, file, size))
            length += head.utf8.count + size
        }
        let (all, end) = (pieces, "\r\n--\(boundary)--\r\n")
        let body = ResponseBody(contentLength: length + end.utf8.count) { writer in
            for (head, file, size) in all {
                try await writer.write(ByteBuffer(string: head))
                try await send(file, size: size) { try await writer.write($0) }
            }
            try await writer.write(ByteBuffer(string: end))
            try await writer.finish(nil)
        }
        return HTTPReply(
            status: .ok, headers: [.contentType: "multipart/form-data; boundary=\(boundary)"], body: body)
    }

    /// A body with what a descriptor gives; exactly `size` bytes if that is known.
    static func body(of file: LinuxSystem.FileDescriptor, size: Int?) -> ResponseBody {
        ResponseBody(contentLength: size) { writer in
            try await send(file, size: size) { try await writer.write($0) }
            try await writer.finish(nil)
        }
    }

    private static func send(
        _ file: LinuxSystem.FileDescriptor, size: Int?, _ write: (ByteBuffer) async throws -> Void
    ) async throws {
        var left = size ?? Int.max
        while left > 0 {
            let count = min(left, chunk)
            // Reading from a disk may block: not on the threads that serve everyone.
            let bytes = try await NIOThreadPool.singleton.runIfActive { try file.read(upTo: count) }
            guard !bytes.isEmpty else { break }
            left -= bytes.count
            try await write(ByteBuffer(bytes: bytes))
        }
        guard size == nil || left == 0 else {
            throw ServiceError.failure("A file became shorter while it was sent")
        }
    }
}
