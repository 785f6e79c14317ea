import ApusCore
import Foundation
import HTTPTypes
import HummingbirdCore
import Logging

/// Finds the route of a request, and turns errors into LXD's replies.
package struct Router: Sendable {
    let routes: [Route]
    private let logger: Logger

    /// A router.
    init(_ routes: [Route], logger: Logger) {
        self.routes = routes
        self.logger = logger
    }

    /// Answers a request; never throws.
    func respond(to request: Request, from requester: Requester) async -> HTTPReply {
        do {
            let (route, target) = try find(request.head.method, request.head.path ?? "/", for: requester)
            return try await route.handler(
                APIRequest(request: request, target: target, requester: requester))
        } catch let error as ServiceError {
            if error.code == .internal { logFailure(request, error) }
            var reply = Reply.error(error.code.rawValue, error.message)
            // The rest of a body that is too long is not waited for.
            if error.code == .tooLarge { reply.headers[.connection] = "close" }
            return reply
        } catch {
            logFailure(request, error)
            return Reply.error(500, ServiceError.text(of: error))
        }
    }

    /// What a request to become a websocket leads to.
    func webSocket(_ target: String, from requester: Requester) async throws(ServiceError) -> WebSocketHandler
    {
        let (route, target) = try find(.get, target, for: requester)
        guard let webSocket = route.webSocket else { throw .notFound("not found") }
        return try await webSocket(target, requester)
    }

    /// The route of a request. Strangers do not even learn what is there.
    private func find(
        _ method: HTTPRequest.Method, _ target: String, for requester: Requester
    ) throws(ServiceError) -> (Route, RequestTarget) {
        let (path, query) = Router.parse(target)
        guard var path else { throw .badRequest("The request's path cannot be decoded") }
        var collection = "instances"
        // LXD 2 called them containers; it is one tree.
        if path.count >= 2, path[0] == "1.0", path[1] == "containers" {
            path[1] = "instances"
            collection = "containers"
        }
        let matches = routes.lazy.compactMap { route in route.match(path).map { (route, $0) } }
        guard let (route, parameters) = matches.first(where: { $0.0.method == method }) else {
            guard requester.isTrusted else { throw .notAuthorized }
            throw matches.first == nil
                ? .notFound("not found") : ServiceError(.notImplemented, "not implemented")
        }
        guard requester.access >= route.access else { throw .notAuthorized }
        if let project = query["project"], !["", ProjectRoutes.name].contains(project) {
            throw .notFound("Project not found: \"\(project)\"; there is \"\(ProjectRoutes.name)\" alone")
        }
        return (route, RequestTarget(parameters: parameters, query: query, collection: collection))
    }

    private func logFailure(_ request: Request, _ error: any Error) {
        logger.warning(
            "request failed",
            metadata: [
                "method": "\(request.head.method.rawValue)", "path": "\(request.uri.path)",
                "error": "\(ServiceError.text(of: error))",
            ])
    }

    /// Splits a request's target into the decoded parts of its path, and its query.
    package static func parse(_ target: String) -> (path: [String]?, query: [String: String]) {
        let halves = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let parts = (halves.first ?? "").split(separator: "/").map { $0.removingPercentEncoding }
        var query: [String: String] = [:]
        if halves.count > 1 {
            for pair in halves[1].split(separator: "&") {
                let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                let decoded = sides.map {
                    $0.replacingOccurrences(of: "+", with: " ").removingPercentEncoding ?? String($0)
                }
                query[decoded[0]] = decoded.count > 1 ? decoded[1] : ""
            }
        }
        let path = parts.compactMap { $0 }
        return (path.count == parts.count ? path : nil, query)
    }
}
