import ApusCore
import HTTPTypes
import HummingbirdCore

/// One method of one path of the API.
struct Route: Sendable {
    /// What answers it.
    typealias Handler = @Sendable (APIRequest) async throws -> Response
    /// What a request to become a websocket leads to.
    typealias WebSocket = @Sendable (RequestTarget, Requester) async throws(ServiceError) -> WebSocketHandler

    /// GET, POST, …
    let method: HTTPRequest.Method
    /// The path, with parts in braces: "/1.0/instances/{name}/state".
    let pattern: String
    /// What it does, for the reference.
    let summary: String
    /// Who may use it.
    let access: Access
    /// Where it is a websocket.
    let webSocket: WebSocket?
    let segments: [Segment]
    let handler: Handler

    enum Segment: Sendable, Equatable {
        case literal(Substring)
        case parameter(String)
        /// The rest of the path, slashes included: alias names have them.
        case rest(String)
    }

    /// A route; for the trusted alone if nothing else is said.
    init(
        _ method: HTTPRequest.Method, _ pattern: String, _ summary: String, access: Access = .trusted,
        webSocket: WebSocket? = nil, handler: @escaping Handler
    ) {
        self.access = access
        self.webSocket = webSocket
        self.method = method
        self.pattern = pattern
        self.summary = summary
        self.handler = handler
        segments = pattern.split(separator: "/").map { part in
            guard part.hasPrefix("{"), part.hasSuffix("}") else { return .literal(part) }
            let name = part.dropFirst().dropLast()
            return name.hasSuffix("*") ? .rest(String(name.dropLast())) : .parameter(String(name))
        }
    }

    /// The named parts, if the path fits.
    func match(_ path: [String]) -> [String: String]? {
        var parameters: [String: String] = [:]
        for (index, segment) in segments.enumerated() {
            guard index < path.count else { return nil }
            switch segment {
            case .literal(let text):
                guard path[index] == text else { return nil }
            case .parameter(let name):
                parameters[name] = path[index]
            case .rest(let name):
                parameters[name] = path[index...].joined(separator: "/")
                return parameters
            }
        }
        return path.count == segments.count ? parameters : nil
    }
}
