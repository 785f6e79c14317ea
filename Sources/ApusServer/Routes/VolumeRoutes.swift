import ApusAPI
import ApusCore
import HTTPTypes
import HummingbirdCore

/// Volumes of storage pools. Those of containers, snapshots and images are shown; custom ones can be changed.
struct VolumeRoutes {
    let daemon: Daemon
    private var volumes: VolumeService { daemon.volumes }

    private static let base = "/1.0/storage-pools/{pool}/volumes"

    var routes: [Route] { listing + changes }

    private var listing: [Route] {
        [
            Route(.get, Self.base, "All volumes of a storage pool") { request in
                try await list(request, type: nil)
            },
            Route(.get, Self.base + "/{type}", "The volumes of one type: custom, container or image") {
                request in
                try await list(request, type: try type(request))
            },
            Route(.get, Self.base + "/{type}/{name}", "A volume") { request in
                let (pool, name) = (try request.path("pool"), try request.path("name"))
                guard try type(request) == "custom" else {
                    return try Reply.sync(try await one(pool, try type(request), name))
                }
                var volume = try volumes.get(pool, name)
                volume.usedBy = await users(pool, name)
                return try Reply.sync(volume, etag: try volumes.etag(pool, name))
            },
            Route(
                .get, Self.base + "/{type}/{name}/snapshots/{snapshot}",
                "The volume of a container's snapshot"
            ) { request in
                let name = try request.path("name") + "/" + request.path("snapshot")
                return try Reply.sync(try await one(try request.path("pool"), try type(request), name))
            },
        ]
    }

    private var changes: [Route] {
        [
            Route(.post, Self.base, "Make a custom volume") { request in try await create(request) },
            Route(.post, Self.base + "/{type}", "Make a volume of type custom") { request in
                try requireCustom(request)
                return try await create(request)
            },
            Route(.put, Self.base + "/{type}/{name}", "Replace a custom volume's keys and description") {
                request in
                try requireCustom(request)
                try await volumes.update(
                    try request.path("pool"), try request.path("name"),
                    try await request.json(StoragePut.self),
                    ifMatch: request.ifMatch)
                return try Reply.done()
            },
            Route(.patch, Self.base + "/{type}/{name}", "Change some of a custom volume's keys") { request in
                try requireCustom(request)
                try await volumes.patch(
                    try request.path("pool"), try request.path("name"),
                    try await request.json(StoragePatch.self), ifMatch: request.ifMatch)
                return try Reply.done()
            },
            Route(.post, Self.base + "/{type}/{name}", "Rename a custom volume that nothing uses") {
                request in
                try requireCustom(request)
                let (pool, name) = (try request.path("pool"), try request.path("name"))
                let post = try await request.json(StorageVolumePost.self)
                guard post.pool.isEmpty || post.pool == pool else {
                    throw ServiceError.badRequest("A volume cannot be moved to another storage pool")
                }
                try await volumes.rename(pool, name, to: post.name, usedBy: await users(pool, name))
                return try Reply.created("/1.0/storage-pools/\(pool)/volumes/custom/\(post.name)")
            },
            Route(
                .delete, Self.base + "/{type}/{name}",
                "Delete a custom volume that nothing uses, or the unpacked copy of an image"
            ) { request in
                let (pool, name) = (try request.path("pool"), try request.path("name"))
                if try type(request) == "image" {
                    try await daemon.images.deleteUnpacked(name, from: pool)
                    return try Reply.done()
                }
                try requireCustom(request)
                try await volumes.delete(pool, name, usedBy: await users(pool, name))
                return try Reply.done()
            },
        ]
    }

    private func create(_ request: APIRequest) async throws -> HTTPReply {
        let pool = try request.path("pool")
        let post = try await request.json(StorageVolumesPost.self)
        guard ["", "custom"].contains(post.type) else {
            throw ServiceError.badRequest("Only volumes of type \"custom\" can be made")
        }
        try await volumes.create(pool, post)
        return try Reply.created("/1.0/storage-pools/\(pool)/volumes/custom/\(post.name)")
    }

    private func list(_ request: APIRequest, type: String?) async throws -> HTTPReply {
        let pool = try request.path("pool")
        let found = try await all(pool).filter { type == nil || $0.type == type }
        guard request.recursion > 0 else {
            return try Reply.sync(found.map { Self.url(pool, $0) })
        }
        return try Reply.sync(found)
    }

    /// A volume that is not custom.
    private func one(_ pool: String, _ type: String, _ name: String) async throws -> StorageVolume {
        guard let volume = try await all(pool).first(where: { $0.name == name && $0.type == type }) else {
            throw ServiceError.notFound("Storage volume not found")
        }
        return volume
    }

    /// The volumes of a pool with their users: those of containers, of snapshots, of images, and custom ones.
    private func all(_ pool: String) async throws -> [StorageVolume] {
        var result: [StorageVolume] = []
        let custom = try volumes.list(pool)
        for url in await daemon.containers.usage().pools[pool] ?? [] {
            let parts = url.split(separator: "/").map(String.init)
            // 1.0/instances/NAME, 1.0/instances/NAME/snapshots/SNAPSHOT
            guard parts.count == 3 || parts.count == 5 else { continue }
            var volume = StorageVolume(
                name: parts.count == 3 ? parts[2] : parts[2] + "/" + parts[4], type: "container")
            volume.usedBy = [url]
            result.append(volume)
        }
        for fingerprint in try await daemon.images.unpacked(in: pool) {
            var volume = StorageVolume(name: fingerprint, type: "image")
            volume.usedBy = ["/1.0/images/\(fingerprint)"]
            result.append(volume)
        }
        for var volume in custom {
            volume.usedBy = await users(pool, volume.name)
            result.append(volume)
        }
        return result
    }

    private static func url(_ pool: String, _ volume: StorageVolume) -> String {
        let parts = volume.name.split(separator: "/", maxSplits: 1)
        let name = parts.count == 2 ? "\(parts[0])/snapshots/\(parts[1])" : volume.name
        return "/1.0/storage-pools/\(pool)/volumes/\(volume.type)/\(name)"
    }

    /// URLs of the containers and profiles with a disk device that shows a volume.
    private func users(_ pool: String, _ volume: String) async -> [String] {
        var users = await daemon.containers.users(ofVolume: volume, in: pool)
        for profile in daemon.profiles.list()
        where profile.devices.values.contains(where: {
            $0["type"] == "disk" && $0["pool"] == pool && $0["source"] == volume && $0["path"] != "/"
        }) {
            users.append("/1.0/profiles/\(profile.name)")
        }
        return users
    }

    private func type(_ request: APIRequest) throws -> String {
        let type = try request.path("type")
        guard ["custom", "container", "image"].contains(type) else {
            throw ServiceError.badRequest("Unknown type of storage volume \"\(type)\"")
        }
        return type
    }

    private func requireCustom(_ request: APIRequest) throws {
        guard try type(request) == "custom" else {
            throw ServiceError.badRequest(
                "Volumes of containers and images change with these; only custom volumes can be changed here"
            )
        }
    }
}
