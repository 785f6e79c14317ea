import ApusAPI
import ApusCore
import Foundation
import HTTPTypes
import HummingbirdCore
import NIOCore

extension HTTPField.Name {
    static func custom(_ name: String) -> HTTPField.Name {
        HTTPField.Name(name) ?? .server
    }
}

/// What a route answers, in LXD's envelopes.
enum Reply {
    /// An answer at once.
    static func sync(_ metadata: some Codable & Sendable, etag: String? = nil) throws -> HTTPReply {
        var response = try json(ApusAPI.Response.sync(metadata), status: .ok)
        if let etag { response.headers[.eTag] = "\"\(etag)\"" }
        return response
    }

    /// A list at once; of a long one each processor encodes a part.
    static func list(_ items: [some Codable & Sendable]) throws -> HTTPReply {
        let encoded = try Parallel.map(items) { try APIJSON.encode($0) }
        let envelope = try APIJSON.encode(ApusAPI.Response.sync([Empty]()))
        let empty = Data("[]".utf8)
        guard let place = envelope.range(of: empty) else { return try sync(items) }
        var body = Data(capacity: envelope.count + encoded.reduce(0) { $0 + $1.count + 1 })
        body.append(envelope[..<place.lowerBound])
        body.append(contentsOf: Array("[".utf8))
        for (index, item) in encoded.enumerated() {
            if index > 0 { body.append(contentsOf: Array(",".utf8)) }
            body.append(item)
        }
        body.append(contentsOf: Array("]".utf8))
        body.append(envelope[place.upperBound...])
        return reply(body, status: .ok)
    }

    /// Done, and nothing to tell.
    static func done() throws -> HTTPReply { try json(ApusAPI.Response<Empty>.sync(nil), status: .ok) }

    /// Something was made.
    static func created(_ location: String) throws -> HTTPReply {
        var response = try json(ApusAPI.Response<Empty>.sync(nil), status: .created)
        response.headers[.location] = location
        return response
    }

    /// Work has begun.
    static func operation(_ operation: ApusAPI.Operation) throws -> HTTPReply {
        let url = "/1.0/operations/\(operation.id)"
        var response = try json(ApusAPI.Response.async(url, operation), status: .accepted)
        response.headers[.location] = url
        return response
    }

    /// A refusal.
    static func error(_ code: Int, _ text: String) -> HTTPReply {
        let body = (try? APIJSON.encode(ApusAPI.Response<Empty>.error(code, text))) ?? Data()
        var response = HTTPReply(
            status: HTTPResponse.Status(code: code), headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
        response.headers[.custom("X-Content-Type-Options")] = "nosniff"
        return response
    }

    /// Bytes as they are.
    static func bytes(_ bytes: [UInt8], type: String = "application/octet-stream") -> HTTPReply {
        HTTPReply(
            status: .ok, headers: [.contentType: type],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    private static func json(_ value: some Encodable, status: HTTPResponse.Status) throws -> HTTPReply {
        reply(try APIJSON.encode(value), status: status)
    }

    private static func reply(_ body: Data, status: HTTPResponse.Status) -> HTTPReply {
        HTTPReply(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }
}
