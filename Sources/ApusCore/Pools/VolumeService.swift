public import ApusAPI
import Glibc
import LinuxSystem
import Storage
import Synchronization

/// Custom volumes: they belong to no container, and containers show them by disk devices.
public final class VolumeService: Sendable {
    /// Which volume: its pool and its name.
    struct Key: Hashable, Sendable {
        let pool: String
        let name: String
    }

    private let context: ServiceContext
    private let pools: PoolService
    private let volumes = Mutex<[Key: VolumeRecord]>([:])
    /// Volumes that are being made, renamed or deleted.
    private let busy = Mutex<Set<Key>>([])

    init(context: ServiceContext, pools: PoolService) throws {
        self.context = context
        self.pools = pools
        for record in try context.store.customVolumes() {
            volumes.withLock { $0[Key(pool: record.pool, name: record.name)] = record }
        }
    }

    // MARK: Reading

    /// Pools and names of all volumes.
    public func names() -> [(pool: String, volume: String)] {
        volumes.withLock { $0.keys.map { ($0.pool, $0.name) } }.sorted { $0 < $1 }
    }

    /// The volumes of a pool, by name.
    public func list(_ pool: String) throws -> [StorageVolume] {
        _ = try pools.get(pool)
        return volumes.withLock { $0.values.filter { $0.pool == pool } }.map(\.shown)
            .sorted { $0.name < $1.name }
    }

    /// A volume.
    public func get(_ pool: String, _ name: String) throws -> StorageVolume {
        try record(pool, name).shown
    }

    /// The tag of a volume's editable part.
    public func etag(_ pool: String, _ name: String) throws -> String {
        let record = try record(pool, name)
        return try ETag.of(StoragePut(config: record.config, description: record.description))
    }

    private func record(_ pool: String, _ name: String) throws -> VolumeRecord {
        _ = try pools.get(pool)
        guard let record = volumes.withLock({ $0[Key(pool: pool, name: name)] }) else {
            throw ServiceError.notFound("Storage volume not found")
        }
        return record
    }

    /// The directory with a volume's content.
    func content(_ pool: String, _ name: String) throws -> String {
        guard volumes.withLock({ $0[Key(pool: pool, name: name)] }) != nil else {
            throw ServiceError.notFound("Storage pool \"\(pool)\" has no volume \"\(name)\"; create it first")
        }
        let driver = try pools.driver(pool)
        guard driver.exists(.custom(name)) else {
            throw ServiceError.failure("The files of volume \"\(name)\" in storage pool \"\(pool)\" are gone")
        }
        return driver.rootfs(of: .custom(name))
    }

    // MARK: Changing

    /// Makes an empty volume.
    public func create(_ pool: String, _ post: StorageVolumesPost) async throws {
        try Names.checkVolume(post.name)
        guard ["", "filesystem"].contains(post.contentType) else {
            throw ServiceError.badRequest(
                "A volume's content is \"filesystem\"; \"\(post.contentType)\" is not supported")
        }
        if let type = post.source?.type, !type.isEmpty {
            throw ServiceError.badRequest(
                "A volume is made empty; a source of type \"\(type)\" is not supported")
        }
        try StorageKeys.check(post.config, StorageKeys.volume, "storage volume")
        let driver = try pools.driver(pool)
        let key = Key(pool: pool, name: post.name)
        try await alone(key) {
            guard volumes.withLock({ $0[key] }) == nil else {
                throw ServiceError.conflict(
                    "Storage pool \"\(pool)\" has a volume \"\(post.name)\" already")
            }
            var record = VolumeRecord(pool: pool, name: post.name)
            record.description = post.description
            record.config = post.config.filter { !$0.value.isEmpty }
            record.createdAt = .now()
            let size = record.size
            let made = try await ServiceError.ofStorage {
                try await withRollback { [record] rollback in
                    // What a daemon killed in between has left has no row, and is in nobody's way any more.
                    if driver.exists(.custom(record.name)) { try await driver.delete(.custom(record.name)) }
                    try await driver.create(.custom(record.name)) { directory in
                        try Files.makeDirectories(directory + "/rootfs", mode: 0o755)
                        try check("chmod", "set the mode of the volume") {
                            chmod(directory + "/rootfs", 0o755)
                        }
                    }
                    rollback.add { try await driver.delete(.custom(record.name)) }
                    if let size { try await driver.setQuota(of: .custom(record.name), bytes: size) }
                    return try context.store.insert(record)
                }
            }
            volumes.withLock { $0[key] = made }
        }
        tell("created", key)
    }

    /// Replaces a volume's configuration.
    public func update(_ pool: String, _ name: String, _ put: StoragePut, ifMatch: String?) async throws {
        let key = Key(pool: pool, name: name)
        try ETag.check(ifMatch, against: try etag(pool, name))
        try StorageKeys.check(put.config, StorageKeys.volume, "storage volume")
        try await alone(key) {
            var record = try record(pool, name)
            let before = record.size
            record.config = put.config.filter { !$0.value.isEmpty }
            record.description = put.description
            if record.size != before {
                let driver = try pools.driver(pool)
                let size = record.size
                try await ServiceError.ofStorage {
                    try await driver.setQuota(of: .custom(name), bytes: size)
                }
            }
            try context.store.update(record)
            volumes.withLock { [record] in $0[key] = record }
        }
        tell("updated", key)
    }

    /// Changes some of a volume's configuration.
    public func patch(_ pool: String, _ name: String, _ patch: StoragePatch, ifMatch: String?) async throws {
        let present = try get(pool, name)
        let config = present.config.merging(patch.config ?? [:]) { _, new in new }
        try await update(
            pool, name, StoragePut(config: config, description: patch.description ?? present.description),
            ifMatch: ifMatch)
    }

    /// Gives a volume that nothing uses another name.
    public func rename(_ pool: String, _ name: String, to newName: String, usedBy: [String]) async throws {
        try Names.checkVolume(newName)
        let (key, newKey) = (Key(pool: pool, name: name), Key(pool: pool, name: newName))
        try await alone(key) {
            var record = try record(pool, name)
            try requireUnused(name, usedBy)
            guard volumes.withLock({ $0[newKey] }) == nil else {
                throw ServiceError.conflict("Storage pool \"\(pool)\" has a volume \"\(newName)\" already")
            }
            let driver = try pools.driver(pool)
            record.name = newName
            try await ServiceError.ofStorage {
                try await withRollback { [record] rollback in
                    try await driver.rename(.custom(name), to: newName)
                    rollback.add { try await driver.rename(.custom(newName), to: name) }
                    try context.store.update(record)
                }
            }
            volumes.withLock { [record] volumes in
                volumes[key] = nil
                volumes[newKey] = record
            }
        }
        tell("renamed", newKey)
    }

    /// Removes a volume that nothing uses, with what is in it.
    public func delete(_ pool: String, _ name: String, usedBy: [String]) async throws {
        let key = Key(pool: pool, name: name)
        try await alone(key) {
            let record = try record(pool, name)
            try requireUnused(name, usedBy)
            let driver = try pools.driver(pool)
            try await ServiceError.ofStorage {
                if driver.exists(.custom(name)) { try await driver.delete(.custom(name)) }
            }
            try context.store.deleteCustomVolume(record.id)
            volumes.withLock { $0[key] = nil }
        }
        tell("deleted", key)
    }

    private func requireUnused(_ name: String, _ usedBy: [String]) throws {
        guard !usedBy.isEmpty else { return }
        throw ServiceError.badRequest(
            "The storage volume \"\(name)\" is in use by \(Users.text(usedBy)); detach it first"
        )
    }

    private func alone(_ key: Key, _ body: () async throws -> Void) async throws {
        guard busy.withLock({ $0.insert(key).inserted }) else {
            throw ServiceError.conflict("The storage volume \"\(key.name)\" is being changed just now")
        }
        defer { busy.withLock { _ = $0.remove(key) } }
        try await body()
    }

    private func tell(_ action: String, _ key: Key) {
        context.events.lifecycle(
            "storage-volume-\(action)", "/1.0/storage-pools/\(key.pool)/volumes/custom/\(key.name)")
    }
}

extension VolumeRecord {
    /// The limit in bytes, if there is one.
    var size: UInt64? { config["size"].flatMap(ConfigValues.bytes).flatMap { $0 > 0 ? UInt64($0) : nil } }

    /// The volume as the API shows it, without what uses it.
    var shown: StorageVolume {
        var volume = StorageVolume(name: name)
        volume.config = config
        volume.description = description
        volume.createdAt = createdAt
        return volume
    }
}
