import ApusAPI
import ApusCore
import HTTPTypes
import HummingbirdCore

/// Storage pools.
struct PoolRoutes {
    let daemon: Daemon
    private var pools: PoolService { daemon.pools }

    var routes: [Route] {
        [
            Route(.get, "/1.0/storage-pools", "All storage pools") { request in
                guard request.recursion > 0 else {
                    return try Reply.sync(pools.list().map { "/1.0/storage-pools/\($0.name)" })
                }
                let users = await users()
                return try Reply.sync(pools.list().map { withUsers($0, users) })
            },
            Route(.post, "/1.0/storage-pools", "Make a storage pool") { request in
                let post = try await request.json(StoragePoolsPost.self)
                try await pools.create(post)
                return try Reply.created("/1.0/storage-pools/\(post.name)")
            },
            Route(.get, "/1.0/storage-pools/{name}", "A storage pool") { request in
                try Reply.sync(withUsers(try pools.get(try request.path("name")), await users()))
            },
            Route(.delete, "/1.0/storage-pools/{name}", "Delete a storage pool that nothing uses") {
                request in
                let name = try request.path("name")
                try await pools.delete(name, usedBy: await users()[name] ?? [])
                return try Reply.done()
            },
        ]
    }

    /// URLs of containers, snapshots and profiles by the pool they use.
    private func users() async -> [String: [String]] {
        var users = await daemon.containers.usage().pools
        for profile in daemon.profiles.list() {
            for pool in Set(profile.devices.values.compactMap { $0["pool"] }) {
                users[pool, default: []].append("/1.0/profiles/\(profile.name)")
            }
        }
        return users
    }

    private func withUsers(_ pool: StoragePool, _ users: [String: [String]]) -> StoragePool {
        var pool = pool
        pool.usedBy = users[pool.name] ?? []
        return pool
    }
}
