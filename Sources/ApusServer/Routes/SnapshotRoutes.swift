import ApusAPI
import ApusCore
import HTTPTypes
import HummingbirdCore

/// Snapshots of containers.
struct SnapshotRoutes {
    let daemon: Daemon
    private var containers: ContainerService { daemon.containers }

    var routes: [Route] {
        [
            Route(.get, "/1.0/instances/{name}/snapshots", "A container's snapshots") { request in
                let name = try request.path("name")
                let snapshots = try await containers.snapshots(name)
                guard request.recursion == 0 else { return try Reply.sync(snapshots) }
                return try Reply.sync(
                    snapshots.map { "/1.0/\(request.collection)/\(name)/snapshots/\($0.name)" })
            },
            Route(.post, "/1.0/instances/{name}/snapshots", "Take a snapshot, with or without running state")
            {
                request in
                try Reply.operation(
                    try await containers.createSnapshot(
                        try request.path("name"), try await request.json(InstanceSnapshotsPost.self)))
            },
            Route(.get, "/1.0/instances/{name}/snapshots/{snapshot}", "A snapshot") { request in
                try Reply.sync(
                    try await containers.snapshot(try request.path("name"), try request.path("snapshot")))
            },
            Route(
                .post, "/1.0/instances/{name}/snapshots/{snapshot}",
                "Rename a snapshot, or send it to another host"
            ) { request in
                let post = try await request.json(InstancePost.self)
                guard !post.migration else {
                    return try Reply.operation(
                        try await containers.migrateSnapshot(
                            try request.path("name"), try request.path("snapshot"), post))
                }
                return try Reply.operation(
                    try await containers.renameSnapshot(
                        try request.path("name"), try request.path("snapshot"), to: post.name))
            },
            Route(.delete, "/1.0/instances/{name}/snapshots/{snapshot}", "Delete a snapshot") { request in
                try Reply.operation(
                    try await containers.deleteSnapshot(
                        try request.path("name"), try request.path("snapshot")))
            },
        ]
    }
}
