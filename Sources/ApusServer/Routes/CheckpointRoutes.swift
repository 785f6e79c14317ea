import ApusAPI
import ApusCore
import HTTPTypes
import HummingbirdCore

/// What stands in the way of checkpoints, and what those hold that there are.
struct CheckpointRoutes {
    let daemon: Daemon
    private var containers: ContainerService { daemon.containers }

    var routes: [Route] {
        [
            Route(
                .post, "/1.0/instances/{name}/checkpoint-check",
                "What stands in the way of saving a container's running state"
            ) { request in
                try Reply.sync(try await containers.checkCheckpoint(try request.path("name")))
            },
            Route(.get, "/1.0/checkpoint-rules", "What such a check looks for") { _ in
                try Reply.sync(containers.checkpointRules())
            },
            Route(
                .get, "/1.0/instances/{name}/checkpoint",
                "What the saved running state of a stopped container holds"
            ) { request in
                try Reply.sync(try await containers.checkpoint(of: try request.path("name")))
            },
            Route(
                .get, "/1.0/instances/{name}/snapshots/{snapshot}/checkpoint",
                "What the running state of a snapshot holds"
            ) { request in
                try Reply.sync(
                    try await containers.checkpoint(
                        of: try request.path("name"), snapshot: try request.path("snapshot")))
            },
        ]
    }
}
