import ApusAPI
import ApusCore
import HTTPTypes
import HummingbirdCore

/// What stands in the way of checkpoints.
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
        ]
    }
}
