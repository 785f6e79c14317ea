import ApusAPI
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
        HTTPReply(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: try APIJSON.encode(value))))
    }
}
