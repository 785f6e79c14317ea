public import NIOCore
public import NIOHTTP1

/// One HTTP request to the daemon.
public struct Request: Sendable {
    /// What a request carries.
    public enum Body: Sendable {
        /// Nothing.
        case none
        /// Bytes that are there already.
        case bytes(ByteBuffer)
        /// Bytes that come one after another; nil ends them.
        case stream(@Sendable () async throws -> ByteBuffer?)
    }

    /// The verb.
    public var method: HTTPMethod
    /// The path, percent-encoded where necessary.
    public var path: String
    /// The query, not yet encoded.
    public var query: [(name: String, value: String)]
    /// Headers beside those that every request has.
    public var headers: HTTPHeaders
    /// What it carries.
    public var body: Body

    /// A request.
    public init(
        _ method: HTTPMethod, _ path: String, query: [(name: String, value: String)] = [],
        headers: HTTPHeaders = [:], body: Body = .none
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
    }

    /// Path and query as they stand in the request line.
    public var uri: String {
        guard !query.isEmpty else { return path }
        let pairs = query.map { "\($0.name.percentEncoded)=\($0.value.percentEncoded)" }
        return path + (path.contains("?") ? "&" : "?") + pairs.joined(separator: "&")
    }
}

/// The daemon's answer.
public struct Reply: Sendable {
    /// The HTTP status.
    public var status: Int
    /// Its headers.
    public var headers: HTTPHeaders
    /// Its body.
    public var body: ByteBuffer

    /// Whether the status says that all went well.
    public var isSuccess: Bool { (200..<300).contains(status) }
}

extension String {
    /// The text with everything but letters, digits and `-._~` percent-encoded: safe in any part of a URL.
    public var percentEncoded: String {
        var result: [UInt8] = []
        result.reserveCapacity(utf8.count)
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                result.append(byte)
            default:
                result += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
