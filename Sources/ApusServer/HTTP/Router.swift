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
    func respond(to request: Request) async -> HTTPReply {
        let method = request.head.method
        let (path, query) = Router.parse(request.head.path ?? "/")
        guard var path else { return Reply.error(400, "The request's path cannot be decoded") }
        var collection = "instances"
        // LXD 2 called them containers; it is one tree.
        if path.count >= 2, path[0] == "1.0", path[1] == "containers" {
            path[1] = "instances"
            collection = "containers"
        }
        do {
            let matches = routes.lazy.compactMap { route in route.match(path).map { (route, $0) } }
            guard matches.first != nil else { return Reply.error(404, "not found") }
            guard let (route, parameters) = matches.first(where: { $0.0.method == method }) else {
                return Reply.error(501, "not implemented")
            }
            let apiRequest = APIRequest(
                request: request, parameters: parameters, query: query, collection: collection)
            return try await route.handler(apiRequest)
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
