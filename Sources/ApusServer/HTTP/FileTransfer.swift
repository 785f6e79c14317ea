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

    /// A body with what a descriptor gives; exactly `size` bytes if that is known.
    static func body(of file: LinuxSystem.FileDescriptor, size: Int?) -> ResponseBody {
        ResponseBody(contentLength: size) { writer in
            var left = size ?? Int.max
            while left > 0 {
                let count = min(left, chunk)
                // Reading from a disk may block: not on the threads that serve everyone.
                let bytes = try await NIOThreadPool.singleton.runIfActive { try file.read(upTo: count) }
                guard !bytes.isEmpty else { break }
                left -= bytes.count
                try await writer.write(ByteBuffer(bytes: bytes))
            }
            guard size == nil || left == 0 else {
                throw ServiceError.failure("A file became shorter while it was sent")
            }
            try await writer.finish(nil)
        }
    }
}
