public import NIOCore
public import NIOHTTP1

/// The beginning of the daemon's answer.
public struct ReplyHead: Sendable {
    /// The HTTP status.
    public let status: Int
    /// Its headers.
    public let headers: HTTPHeaders

    /// Whether the status says that all went well.
    public var isSuccess: Bool { (200..<300).contains(status) }

    init(reading parts: inout NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator) async throws
    {
        while let part = try await parts.next() {
            if case .head(let head) = part {
                if head.status.code < 200 { continue }
                status = Int(head.status.code)
                headers = head.headers
                return
            }
        }
        throw ClientError(.broken, "apusd closed the connection without an answer")
    }
}

/// The rest of the daemon's answer, as it arrives. May be read once.
public final class ReplyBody {
    private var parts: NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator
    private var ended = false

    init(parts: NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator) { self.parts = parts }

    /// The next bytes; nil at the end.
    public func next() async throws -> ByteBuffer? {
        while !ended {
            switch try await parts.next() {
            case .body(let bytes): return bytes
            case .head: continue
            case .end: ended = true
            case nil: throw ClientError(.broken, "apusd closed the connection in the middle of its answer")
            }
        }
        return nil
    }

    /// Everything, up to `limit` bytes.
    public func collect(limit: Int = 512 << 20) async throws -> ByteBuffer {
        var result = ByteBuffer()
        while var bytes = try await next() {
            guard result.readableBytes + bytes.readableBytes <= limit else {
                throw ClientError(.broken, "apusd's answer is larger than \(limit) bytes")
            }
            if result.readableBytes == 0 { result = bytes } else { result.writeBuffer(&bytes) }
        }
        return result
    }
}
