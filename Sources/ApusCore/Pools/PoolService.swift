public import ApusAPI
import Logging
import Storage
import Synchronization

/// Storage pools and their drivers.
public final class PoolService: Sendable {
    private struct Pool {
        var description: StoragePool
        var driver: any StorageDriver
        /// Why it cannot be used now.
        var failure: String?
    }

    let context: ServiceContext
    private let pools = Mutex<[String: Pool]>([:])
    /// Names of pools that are being made.
    private let making = Mutex<Set<String>>([])

    init(context: ServiceContext) throws {
        self.context = context
        for pool in try context.store.pools() {
            let driver = try PoolDrivers.make(pool, in: context.directory)
            let failure = Self.activate(driver)
            if let failure {
                context.logger.error(
                    "a storage pool is not available",
                    metadata: ["pool": "\(pool.name)", "error": "\(failure)"])
            }
            pools.withLock { $0[pool.name] = Pool(description: pool, driver: driver, failure: failure) }
        }
    }

    // MARK: Reading

    /// All pools, by name, without what uses them.
    public func list() -> [StoragePool] {
        for name in pools.withLock({ Array($0.keys) }) { lookAgain(name) }
        return pools.withLock { $0.values.map(Self.shown) }.sorted { $0.name < $1.name }
    }

    /// A pool, without what uses it.
    public func get(_ name: String) throws -> StoragePool {
        lookAgain(name)
        guard let pool = pools.withLock({ $0[name] }) else {
            throw ServiceError.notFound("Storage pool not found")
        }
        return Self.shown(pool)
    }

    /// The tag of a pool's editable part.
    public func etag(_ name: String) throws -> String {
        let pool = try get(name)
        return try ETag.of(StoragePut(config: pool.config, description: pool.description))
    }

    /// The room in a pool.
    public func resources(_ name: String) throws -> StoragePoolResources {
        _ = try get(name)
        let space = try driver(name).space()
        return StoragePoolResources(
            space: .init(used: Int64(clamping: space.used), total: Int64(clamping: space.total)),
            inodes: .init(
                used: Int64(clamping: space.inodes - min(space.inodes, space.availableInodes)),
                total: Int64(clamping: space.inodes)))
    }

    private static func shown(_ pool: Pool) -> StoragePool {
        var description = pool.description
        if pool.failure != nil || !pool.driver.isThere { description.status = "Unavailable" }
        return description
    }

    // MARK: Changing

    /// Makes a pool.
    public func create(_ post: StoragePoolsPost) async throws {
        try Names.checkPool(post.name)
        guard pools.withLock({ $0[post.name] }) == nil else {
            throw ServiceError.conflict("The storage pool \"\(post.name)\" already exists")
        }
        var pool = StoragePool(name: post.name, driver: post.driver)
        pool.description = post.description
        pool.config = post.config
        try PoolDrivers.complete(&pool, in: context.directory)
        try requireOwnSource(pool)
        // Two requests for one name, or one source, must not both get this far.
        guard making.withLock({ $0.insert(pool.name).inserted }) else {
            throw ServiceError.conflict("The storage pool \"\(post.name)\" is being made just now")
        }
        defer { making.withLock { _ = $0.remove(post.name) } }
        let driver = try PoolDrivers.make(pool, in: context.directory)
        try await ServiceError.ofStorage { try await driver.createPool() }
        do {
            if ConfigValues.isTrue(pool.config, "shared") {
                try await ServiceError.ofStorage { _ = try SharedPool.mark(driver.poolPath) }
            }
            try context.store.save(pool)
        } catch {
            try? await driver.deletePool()
            throw error
        }
        pools.withLock { $0[pool.name] = Pool(description: pool, driver: driver) }
        context.events.lifecycle("storage-pool-created", "/1.0/storage-pools/\(pool.name)")
    }

    /// Two pools in one place would be each other's leftovers.
    private func requireOwnSource(_ pool: StoragePool) throws {
        let source = pool.config["source"] ?? ""
        for other in list() {
            let taken = other.config["source"] ?? ""
            guard source == taken || source.hasPrefix(taken + "/") || taken.hasPrefix(source + "/") else {
                continue
            }
            throw ServiceError.conflict(
                "\"\(source)\" is, or is a part of, the source of storage pool \"\(other.name)\"; choose another"
            )
        }
    }

    /// Replaces a pool's configuration.
    public func update(_ name: String, _ put: StoragePut, ifMatch: String?) async throws {
        var pool = try get(name)
        try ETag.check(ifMatch, against: try etag(name))
        let config = put.config.filter { !$0.value.isEmpty }
        for key in ["shared", "source", "volatile.initial_source"] {
            guard config[key] == pool.config[key] || (config[key] == nil && key != "source") else {
                throw ServiceError.badRequest("\"\(key)\" of a storage pool cannot be changed")
            }
        }
        let own = config.filter { !["source", "volatile.initial_source"].contains($0.key) }
        try StorageKeys.check(own, StorageKeys.pool, "storage pool")
        let old = pool.config
        if own["size"] != old["size"] {
            guard let size = own["size"].flatMap(ConfigValues.bytes) else {
                throw ServiceError.badRequest(
                    "The size of storage pool \"\(name)\" cannot be unset; make it larger, or leave it")
            }
            let driver = try driver(name)
            try await ServiceError.ofStorage { try await driver.resize(to: UInt64(size)) }
        }
        if own["btrfs.mount_options"] != old["btrfs.mount_options"], pool.driver != "btrfs" {
            throw ServiceError.badRequest("A storage pool of driver dir has no \"btrfs.mount_options\"")
        }
        pool.config = own
        for key in ["shared", "source", "volatile.initial_source"] { pool.config[key] = old[key] }
        pool.description = put.description
        pool.status = "Created"
        try context.store.save(pool)
        let driver = try PoolDrivers.make(pool, in: context.directory)
        pools.withLock { pools in
            pools[name]?.description = pool
            pools[name]?.driver = driver
        }
        context.events.lifecycle("storage-pool-updated", "/1.0/storage-pools/\(name)")
    }

    /// Changes some of a pool's configuration.
    public func patch(_ name: String, _ patch: StoragePatch, ifMatch: String?) async throws {
        let pool = try get(name)
        let config = pool.config.merging(patch.config ?? [:]) { _, new in new }.filter { !$0.value.isEmpty }
        try await update(
            name, StoragePut(config: config, description: patch.description ?? pool.description),
            ifMatch: ifMatch)
    }

    /// Removes a pool that nothing uses.
    public func delete(_ name: String, usedBy: [String]) async throws {
        _ = try get(name)
        guard usedBy.isEmpty else {
            throw ServiceError.badRequest(
                "The storage pool \"\(name)\" is in use by \(Users.text(usedBy)); free it first")
        }
        let driver = try self.driver(name)
        try await ServiceError.ofStorage { try await driver.deletePool() }
        try context.store.deletePool(name)
        pools.withLock { _ = $0.removeValue(forKey: name) }
        context.events.lifecycle("storage-pool-deleted", "/1.0/storage-pools/\(name)")
    }

    // MARK: Drivers

    /// Takes a pool back into use if its source has come back.
    private func lookAgain(_ name: String) { _ = try? driver(name) }

    /// The driver of a pool that can be used.
    func driver(_ name: String) throws -> any StorageDriver {
        let driver = try location(name)
        guard pools.withLock({ $0[name]?.failure }) != nil || !driver.isThere else { return driver }
        // Its source may have gone, or be back by now.
        let failure = Self.activate(driver)
        pools.withLock { $0[name]?.failure = failure }
        if let failure {
            throw ServiceError(
                .unavailable,
                "Storage pool \"\(name)\" is not available: \(failure). What is in it is not lost")
        }
        return driver
    }

    /// The driver of a pool, whether it can be used now or not: for paths.
    func location(_ name: String) throws -> any StorageDriver {
        guard let pool = pools.withLock({ $0[name] }) else {
            throw ServiceError.notFound("Storage pool \"\(name)\" not found")
        }
        return pool.driver
    }

    /// The drivers of the pools that can be used, by the pools' names.
    var drivers: [String: any StorageDriver] {
        pools.withLock { $0.filter { $0.value.failure == nil }.mapValues(\.driver) }
    }

    /// Gives the host back what pools have taken of it that nothing uses.
    func release(except busy: Set<String>) {
        for (name, driver) in drivers where !busy.contains(name) {
            do {
                try driver.deactivate()
            } catch {
                context.logger.notice(
                    "a storage pool stays mounted", metadata: ["pool": "\(name)", "reason": "\(error)"])
            }
        }
    }

    /// The pool for a container's root: what its root disk says, or the only one there is.
    func poolForRoot(_ devices: DevicesMap) throws -> String {
        for device in devices.values where device["type"] == "disk" && device["path"] == "/" {
            if let pool = device["pool"], !pool.isEmpty {
                _ = try self.driver(pool)
                return pool
            }
        }
        let names = pools.withLock { $0.keys.sorted() }
        if names.count == 1, let only = names.first { return only }
        throw ServiceError.badRequest(
            names.isEmpty
                ? "There is no storage pool yet; run \"apus admin init\" first"
                : "Say which storage pool: give the container or its profile a root disk with a pool")
    }

    /// Makes a pool usable; why it is not, if that fails.
    private static func activate(_ driver: any StorageDriver) -> String? {
        do {
            try driver.activate()
            return nil
        } catch {
            return ServiceError.text(of: error)
        }
    }
}
