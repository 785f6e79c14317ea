import ApusAPI
import ApusCore
import HTTPTypes
import HummingbirdCore

/// Operations: what runs, waiting, cancelling, and the websockets they open.
struct OperationRoutes {
    let daemon: Daemon
    private var operations: OperationService { daemon.operations }

    var routes: [Route] {
        [
            Route(.get, "/1.0/operations", "Operations that run, or ended a moment ago") { request in
                let groups = Dictionary(grouping: operations.list()) { $0.status.lowercased() }
                guard request.recursion == 0 else { return try Reply.sync(groups) }
                return try Reply.sync(groups.mapValues { $0.map { "/1.0/operations/\($0.id)" } })
            },
            Route(.get, "/1.0/operations/{id}", "An operation") { request in
                try Reply.sync(try operations.get(try request.path("id")))
            },
            Route(.delete, "/1.0/operations/{id}", "Cancel an operation") { request in
                try operations.cancel(try request.path("id"))
                return try Reply.done()
            },
            Route(.get, "/1.0/operations/{id}/wait", "An operation, once it has ended or the timeout is over")
            {
                request in
                let seconds = request.query["timeout"].flatMap { Int($0) } ?? -1
                return try Reply.sync(
                    try await operations.wait(
                        try request.path("id"), timeout: seconds < 0 ? nil : .seconds(min(seconds, 86_400))))
            },
            Route(
                .get, "/1.0/operations/{id}/websocket", "Connect one of an operation's websockets",
                access: .anyone, webSocket: webSocket
            ) { request in
                guard request.requester.isTrusted else { throw ServiceError.notAuthorized }
                _ = try operations.sockets(try request.path("id"))
                throw ServiceError.badRequest(
                    "This is a websocket; connect with an upgrade request and its secret")
            },
        ]
    }

    /// What a request for a websocket of an operation leads to. Its secret is what opens it, for strangers too: another
    /// daemon need not be a client of this one.
    private func webSocket(
        _ target: RequestTarget, _ requester: Requester
    ) throws(ServiceError) -> WebSocketHandler {
        do throws(ServiceError) {
            let sockets = try operations.sockets(try target.path("id"))
            let name = try sockets.claim(secret: target.query["secret"] ?? "")
            return { connection in await sockets.run(name, connection) }
        } catch {
            throw requester.isTrusted ? error : .notAuthorized
        }
    }
}
