import ApusAPI
import ApusCore
import HTTPTypes
import HummingbirdCore

/// The daemon itself.
struct ServerRoutes {
    let daemon: Daemon

    var routes: [Route] {
        [
            Route(.get, "/", "Versions of the API", access: .anyone) { _ in try Reply.sync(["/1.0"]) },
            Route(
                .get, "/1.0", "The daemon: its keys, extensions and environment; less to strangers",
                access: .anyone
            ) { request in
                guard request.requester.isTrusted else {
                    return try Reply.sync(daemon.info.untrustedServer())
                }
                return try Reply.sync(daemon.info.server(), etag: try daemon.info.etag())
            },
            Route(.put, "/1.0", "Replace the daemon's keys") { request in
                try await update(request, merge: false)
            },
            Route(.patch, "/1.0", "Change some of the daemon's keys") { request in
                try await update(request, merge: true)
            },
            Route(.get, "/1.0/resources", "The machine's processors and memory") { _ in
                try Reply.sync(try MachineResources.read())
            },
            Route(
                .get, "/internal/ready", "Answers when the daemon has found its containers again",
                access: .local
            ) { _ in
                guard await daemon.waitUntilReady() else {
                    throw ServiceError(.unavailable, "The daemon is still starting")
                }
                return try Reply.done()
            },
            Route(
                .put, "/internal/shutdown", "Stop all containers cleanly, then the daemon", access: .local
            ) { _ in
                daemon.askForShutdown()
                return try Reply.done()
            },
        ]
    }

    private func update(_ request: APIRequest, merge: Bool) async throws -> HTTPReply {
        let server = try await request.json(Server.self)
        try await daemon.update(config: server.config, merge: merge, ifMatch: request.ifMatch)
        return try Reply.done()
    }
}
