import ApusAPI
import ApusCore
import Foundation
import HTTPTypes
import HummingbirdCore
import NIOCore

/// A request that has found its route.
struct APIRequest: Sendable {
    /// The largest JSON body.
    static let maxJSON = 1 << 20
    /// How much more than that is read and thrown away before the connection is closed.
    static let patience = 16 << 20

    /// The request itself.
    let request: Request
    /// Where it goes.
    let target: RequestTarget
    /// Who sent it.
    let requester: Requester
    /// The query's parts.
    var query: [String: String] { target.query }
    /// "instances" or "containers": what the client calls them, for the URLs in replies.
    var collection: String { target.collection }

    /// A named part of the path.
    func path(_ name: String) throws(ServiceError) -> String { try target.path(name) }

    /// A header of LXD's own.
    func header(_ name: String) -> String? {
        HTTPField.Name(name).flatMap { request.headers[$0] }
    }

    /// How much of what is listed goes into the reply: 0 names, 1 objects, 2 objects with everything.
    var recursion: Int { query["recursion"].flatMap { Int($0) } ?? 0 }

    /// The If-Match header.
    var ifMatch: String? { request.headers[.ifMatch] }

    /// The JSON body. Some clients send none, or "null", where all fields are optional.
    func json<Value: Decodable>(_ type: Value.Type) async throws -> Value {
        let data = try await body(limit: APIRequest.maxJSON)
        do {
            return try APIJSON.decode(
                type, from: data.isEmpty || data == Data("null".utf8) ? Data("{}".utf8) : data)
        } catch let error as DecodingError {
            throw ServiceError.badRequest("The request's body cannot be read: \(error.plainText)")
        }
    }

    /// The whole body, if it is no longer than the limit. What is a little too long is read to its end all the
    /// same, so that the client can read the refusal; with what is far too long the connection is closed.
    func body(limit: Int) async throws -> Data {
        var data = Data()
        var length = 0
        for try await buffer in request.body {
            length += buffer.readableBytes
            if length <= limit { data.append(contentsOf: buffer.readableBytesView) }
            if length > limit + APIRequest.patience { break }
        }
        guard length <= limit else {
            throw ServiceError(.tooLarge, "The request's body is longer than \(limit) bytes")
        }
        return data
    }
}

extension DecodingError {
    /// The error in one line, with the place in the JSON.
    var plainText: String {
        func place(_ context: Context) -> String {
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return path.isEmpty ? "" : " at \"\(path)\""
        }
        switch self {
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            return "\(context.debugDescription)\(place(context))"
        case .keyNotFound(let key, let context):
            return "\"\(key.stringValue)\" is missing\(place(context))"
        case .dataCorrupted(let context):
            let reason = context.underlyingError.map { "\($0)" } ?? ""
            let short = reason.count > 200 ? "" : " (\(reason))"
            return context.debugDescription + place(context) + (reason.isEmpty ? "" : short)
        @unknown default:
            return "it is not the JSON that belongs here"
        }
    }
}
