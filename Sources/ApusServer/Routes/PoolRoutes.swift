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
                var shown: [StoragePool] = []
                for pool in pools.list() { shown.append(try await withUsers(pool, users)) }
                return try Reply.sync(shown)
            },
            Route(.post, "/1.0/storage-pools", "Make a storage pool") { request in
                let post = try await request.json(StoragePoolsPost.self)
                try await pools.create(post)
                return try Reply.created("/1.0/storage-pools/\(post.name)")
            },
            Route(.get, "/1.0/storage-pools/{name}", "A storage pool") { request in
                let name = try request.path("name")
                return try Reply.sync(
                    try await withUsers(try pools.get(name), await users()), etag: try pools.etag(name))
            },
            Route(.put, "/1.0/storage-pools/{name}", "Replace a storage pool's keys and description") {
                request in
                try await pools.update(
                    try request.path("name"), try await request.json(StoragePut.self),
                    ifMatch: request.ifMatch)
                return try Reply.done()
            },
            Route(.patch, "/1.0/storage-pools/{name}", "Change some of a storage pool's keys") { request in
                try await pools.patch(
                    try request.path("name"), try await request.json(StoragePatch.self),
                    ifMatch: request.ifMatch)
                return try Reply.done()
            },
            Route(.delete, "/1.0/storage-pools/{name}", "Delete a storage pool that nothing uses") {
                request in
                let name = try request.path("name")
                try await pools.delete(name, usedBy: await users()[name] ?? [])
                return try Reply.done()
            },
            Route(.get, "/1.0/storage-pools/{name}/resources", "The room in a storage pool") { request in
                try Reply.sync(try pools.resources(try request.path("name")))
            },
        ]
    }

    /// URLs of containers, snapshots, profiles and custom volumes by the pool they use.
    private func users() async -> [String: [String]] {
        var users = await daemon.containers.usage().pools
        for profile in daemon.profiles.list() {
            for pool in Set(profile.devices.values.compactMap { $0["pool"] }) {
                users[pool, default: []].append("/1.0/profiles/\(profile.name)")
            }
        }
        for (pool, volume) in daemon.volumes.names() {
            users[pool, default: []].append("/1.0/storage-pools/\(pool)/volumes/custom/\(volume)")
        }
        return users
    }

    /// Images are shown as well; they keep no pool from being deleted, because the store has them.
    private func withUsers(_ pool: StoragePool, _ users: [String: [String]]) async throws -> StoragePool {
        var pool = pool
        let images = try await daemon.images.unpacked(in: pool.name).map { "/1.0/images/\($0)" }
        pool.usedBy = (users[pool.name] ?? []) + images
        return pool
    }
}
