public import ApusAPI
import Foundation
public import NIOCore
public import NIOHTTP1
import NIOPosix

/// A client of one daemon. Cheap to make: nothing is connected before the first request.
public struct Client: Sendable {
    /// Where the daemon listens.
    public let endpoint: Endpoint
    package let transport: Transport

    /// A client of the daemon at an endpoint; its connections live on the threads of `group`
    /// (those that the whole process shares if it is nil).
    public init(
        _ endpoint: Endpoint = .local, group: (any EventLoopGroup)? = nil
    ) {
        self.endpoint = endpoint
        transport = Transport(endpoint: endpoint, group: group ?? MultiThreadedEventLoopGroup.singleton)
    }

    /// Sends a request and gives the answer back as it came, whatever its status.
    public func exchange(_ request: Request) async throws -> Reply { try await transport.exchange(request) }

    /// Sends a request and hands the answer to `consume` as it arrives.
    /// Throws the daemon's words if the status is not success.
    public func stream<Output: Sendable>(
        _ request: Request, consume: @escaping @Sendable (ReplyHead, ReplyBody) async throws -> Output
    ) async throws -> Output {
        try await transport.exchange(request) { head, body in
            guard head.isSuccess else {
                throw refusal(status: head.status, body: try await body.collect(limit: 1 << 20))
            }
            return try await consume(head, body)
        }
    }

    /// Sends a request and gives the answer back if its status is success; else throws the daemon's words.
    @discardableResult
    public func perform(_ request: Request) async throws -> Reply {
        let reply = try await transport.exchange(request)
        guard reply.isSuccess else { throw refusal(status: reply.status, body: reply.body) }
        return reply
    }

    /// What the daemon says under a path.
    public func get<Metadata: Codable & Sendable>(
        _ path: String, query: [(name: String, value: String)] = [], as type: Metadata.Type = Metadata.self
    ) async throws -> Metadata {
        try Self.metadata(of: try await perform(Request(.GET, path, query: query)))
    }

    /// What the daemon says under a path, with the ETag that an edit has to send back.
    public func getTagged<Metadata: Codable & Sendable>(
        _ path: String, as type: Metadata.Type = Metadata.self
    ) async throws -> (value: Metadata, etag: String?) {
        let reply = try await perform(Request(.GET, path))
        return (try Self.metadata(of: reply), reply.headers.first(name: "ETag"))
    }

    /// Sends a value; what the daemon answers at once is of no interest.
    public func send(
        _ method: HTTPMethod, _ path: String, _ value: (any Encodable & Sendable)? = nil, etag: String? = nil
    ) async throws {
        try await perform(try Self.request(method, path, value, etag: etag))
    }

    /// Sends a value; the daemon begins an operation.
    public func begin(
        _ method: HTTPMethod, _ path: String, _ value: (any Encodable & Sendable)? = nil, etag: String? = nil
    ) async throws -> ApusAPI.Operation {
        try Self.metadata(of: try await perform(try Self.request(method, path, value, etag: etag)))
    }

    /// A request that carries a value as JSON.
    static func request(
        _ method: HTTPMethod, _ path: String, _ value: (any Encodable & Sendable)?, etag: String?
    ) throws -> Request {
        var request = Request(method, path)
        if let value {
            request.body = .bytes(ByteBuffer(bytes: try APIJSON.encode(value)))
            request.headers.add(name: "Content-Type", value: "application/json")
        }
        if let etag { request.headers.add(name: "If-Match", value: etag) }
        return request
    }

    /// The metadata in the envelope of an answer.
    package static func metadata<Metadata: Codable & Sendable>(
        of reply: Reply, as type: Metadata.Type = Metadata.self
    ) throws -> Metadata {
        do {
            let envelope = try APIJSON.decode(
                Envelope<Metadata>.self, from: Data(reply.body.readableBytesView))
            guard let metadata = envelope.metadata else {
                throw ClientError(.broken, "apusd answered without the expected metadata")
            }
            return metadata
        } catch let error as DecodingError {
            throw ClientError(.broken, "apusd's answer is not what this client understands: \(error.summary)")
        }
    }

    private func refusal(status: Int, body: ByteBuffer) -> ClientError {
        Self.refusal(status: status, body: body, by: endpoint)
    }

    /// The daemon's refusal as an error.
    static func refusal(status: Int, body: ByteBuffer, by endpoint: Endpoint) -> ClientError {
        let data = Data(body.readableBytesView)
        if let text = (try? APIJSON.decode(Refusal.self, from: data))?.error, !text.isEmpty {
            if status == 403, text == "not authorized", case .https(let address) = endpoint {
                return .untrusted(by: address)
            }
            return ClientError(.refused(status: status), text)
        }
        let text = String(decoding: data.prefix(300), as: UTF8.self)
        return ClientError(
            .refused(status: status), "\(endpoint) answered with HTTP status \(status) \(text)")
    }
}

/// The only part of an answer's envelope that matters once its HTTP status is known.
private struct Envelope<Metadata: Decodable>: Decodable {
    var metadata: Metadata?
}

private struct Refusal: Decodable {
    var error: String?
}

extension DecodingError {
    /// Which field was wrong, in one line.
    package var summary: String {
        func place(_ context: Context) -> String {
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return path.isEmpty ? context.debugDescription : "\(path): \(context.debugDescription)"
        }
        switch self {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            return place(context)
        case .keyNotFound(let key, let context):
            return place(context) + " (\(key.stringValue))"
        @unknown default:
            return "\(self)"
        }
    }
}
