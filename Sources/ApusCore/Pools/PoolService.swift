public import ApusAPI
import Storage
import Synchronization

/// Storage pools and their drivers.
public final class PoolService: Sendable {
    private struct Pool {
        var description: StoragePool
        var driver: any StorageDriver
    }

    private let context: ServiceContext
    private let pools = Mutex<[String: Pool]>([:])

    init(context: ServiceContext) throws {
        self.context = context
        for pool in try context.store.pools() {
            let driver = try makeDriver(pool)
            pools.withLock { $0[pool.name] = Pool(description: pool, driver: driver) }
        }
    }

    /// All pools, by name, without what uses them.
    public func list() -> [StoragePool] {
        pools.withLock { $0.values.map(\.description) }.sorted { $0.name < $1.name }
    }

    /// A pool, without what uses it.
    public func get(_ name: String) throws -> StoragePool {
        guard let pool = pools.withLock({ $0[name] }) else {
            throw ServiceError.notFound("Storage pool not found")
        }
        return pool.description
    }

    /// Makes a pool.
    public func create(_ post: StoragePoolsPost) async throws {
        try Names.checkPool(post.name)
        guard post.driver == "dir" else {
            throw ServiceError.badRequest(
                "Unknown storage driver \"\(post.driver)\"; this version has \"dir\"")
        }
        for key in post.config.keys where key != "source" {
            throw ServiceError.badRequest("Unknown key \"\(key)\" for a storage pool of driver dir")
        }
        guard pools.withLock({ $0[post.name] }) == nil else {
            throw ServiceError.conflict("The storage pool \"\(post.name)\" already exists")
        }
        var pool = StoragePool(name: post.name, driver: post.driver)
        pool.description = post.description
        pool.config = post.config
        if (pool.config["source"] ?? "").isEmpty { pool.config["source"] = context.directory.pool(post.name) }
        guard pool.config["source"]?.hasPrefix("/") == true else {
            throw ServiceError.badRequest("The source of a storage pool must be an absolute path")
        }
        let driver = try makeDriver(pool)
        try await driver.createPool()
        try context.store.save(pool)
        pools.withLock { $0[pool.name] = Pool(description: pool, driver: driver) }
        context.events.lifecycle("storage-pool-created", "/1.0/storage-pools/\(pool.name)")
    }

    /// Removes a pool that nothing uses.
    public func delete(_ name: String, usedBy: [String]) async throws {
        _ = try get(name)
        guard usedBy.isEmpty else {
            throw ServiceError.badRequest(
                "The storage pool \"\(name)\" is in use by \(usedBy.joined(separator: ", ")); free it first")
        }
        let driver = try self.driver(name)
        try await driver.deletePool()
        try context.store.deletePool(name)
        pools.withLock { _ = $0.removeValue(forKey: name) }
        context.events.lifecycle("storage-pool-deleted", "/1.0/storage-pools/\(name)")
    }

    /// The driver of a pool.
    func driver(_ name: String) throws -> any StorageDriver {
        guard let pool = pools.withLock({ $0[name] }) else {
            throw ServiceError.notFound("Storage pool \"\(name)\" not found")
        }
        return pool.driver
    }

    /// All drivers by their pools' names.
    var drivers: [String: any StorageDriver] { pools.withLock { $0.mapValues(\.driver) } }

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

    private func makeDriver(_ pool: StoragePool) throws -> any StorageDriver {
        guard pool.driver == "dir" else {
            throw ServiceError.failure(
                "Storage pool \"\(pool.name)\" has an unknown driver \"\(pool.driver)\"")
        }
        return DirDriver(path: pool.config["source"] ?? context.directory.pool(pool.name))
    }
}
