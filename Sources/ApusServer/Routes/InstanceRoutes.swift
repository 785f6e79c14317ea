import ApusAPI
import ApusCore
import HTTPTypes
import HummingbirdCore

/// Containers: /1.0/instances, and the same under /1.0/containers.
struct InstanceRoutes {
    let daemon: Daemon
    private var containers: ContainerService { daemon.containers }

    var routes: [Route] {
        [
            Route(.get, "/1.0/instances", "All containers", handler: list),
            Route(.post, "/1.0/instances", "Make a container, or take in the backup of one") { request in
                if BackupRoutes.isUpload(request) {
                    return try await BackupRoutes(daemon: daemon).take(request)
                }
                return try Reply.operation(
                    try await containers.create(try await request.json(InstancesPost.self)))
            },
            Route(.get, "/1.0/instances/{name}", "A container") { request in
                let name = try request.path("name")
                let instance = try await containers.get(name, full: request.recursion >= 1)
                return try Reply.sync(instance, etag: try await containers.etag(name))
            },
            Route(.put, "/1.0/instances/{name}", "Replace a container's configuration, or restore a snapshot")
            {
                request in
                try Reply.operation(
                    try await containers.update(
                        try request.path("name"), try await request.json(InstancePut.self),
                        ifMatch: request.ifMatch))
            },
            Route(.patch, "/1.0/instances/{name}", "Change some of a container's configuration") { request in
                try Reply.operation(
                    try await containers.patch(
                        try request.path("name"), try await request.json(InstancePatch.self),
                        ifMatch: request.ifMatch))
            },
            Route(
                .post, "/1.0/instances/{name}",
                "Rename a container, move it to another pool, or send it to another host", handler: relocate),
            Route(
                .post, "/1.0/moves/{id}/verdict",
                "Who owns a container that was on its way here (needs the move's secret)",
                access: .anyone
            ) { request in
                try Reply.sync(
                    try await containers.verdict(
                        try request.path("id"), try await request.json(MoveVerdictPost.self)))
            },
            Route(.delete, "/1.0/instances/{name}", "Delete a container") { request in
                try Reply.operation(try await containers.delete(try request.path("name")))
            },
            Route(.get, "/1.0/instances/{name}/state", "What a container uses") { request in
                try Reply.sync(try await containers.state(try request.path("name")))
            },
            Route(.put, "/1.0/instances/{name}/state", "Start, stop, restart, freeze or unfreeze a container")
            {
                request in
                try Reply.operation(
                    try await containers.changeState(
                        try request.path("name"), try await request.json(InstanceStatePut.self)))
            },
        ]
    }

    private func relocate(_ request: APIRequest) async throws -> HTTPReply {
        let post = try await request.json(InstancePost.self)
        let name = try request.path("name")
        if post.migration { return try Reply.operation(try await containers.migrate(name, post)) }
        guard post.pool.isEmpty else {
            guard post.name.isEmpty || post.name == name else {
                throw ServiceError.badRequest("Give a new name or another storage pool, one after the other")
            }
            return try Reply.operation(try await containers.move(name, toPool: post.pool))
        }
        return try Reply.operation(try await containers.rename(name, to: post.name))
    }

    private func list(_ request: APIRequest) async throws -> HTTPReply {
        switch request.recursion {
        case 0 where (request.query["filter"] ?? "").isEmpty:
            try Reply.sync(await containers.names().map { "/1.0/\(request.collection)/\($0)" })
        case 0:
            try Reply.sync(
                try request.filtered(await containers.list(full: false)).map {
                    "/1.0/\(request.collection)/\($0.name)"
                })
        case 1: try Reply.list(try request.filtered(await containers.list(full: false)))
        default: try Reply.list(try request.filtered(await containers.list(full: true)))
        }
    }
}
