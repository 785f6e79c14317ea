public import ApusAPI
import LinuxSystem
import Logging
import Storage

/// Moving a container to another storage pool of this machine.
extension ContainerService {
    /// The journal's word for it.
    static let poolMove = "moving to another storage pool"

    /// Moves a stopped container with its snapshots to another storage pool. Name, ids, addresses and saved states stay
    /// as they are.
    public func move(_ name: String, toPool pool: String) throws -> ApusAPI.Operation {
        let entry = try entry(name)
        guard entry.live == nil else {
            throw ServiceError.badRequest(
                "The instance is running; stop it before moving it to another storage pool")
        }
        guard entry.record.pool != pool else {
            throw ServiceError.badRequest("\"\(name)\" is in storage pool \"\(pool)\" already")
        }
        let driver = try pools.driver(pool)
        if let size = rootDisk(entry.record)?["size"], !size.isEmpty, !driver.limitsVolumes {
            throw ServiceError.badRequest(
                "The root disk of \"\(name)\" has the size \(size), and storage pool \"\(pool)\" (driver \(driver.driver)) "
                    + "cannot limit sizes; unset it first")
        }
        return try context.operate(
            on: name, Self.poolMove, "Moving instance", detail: "\(entry.record.pool) \(pool)",
            mayCancel: true
        ) { handle in
            try await self.moveNow(name, toPool: pool, handle)
            return nil
        }
    }

    private func moveNow(_ name: String, toPool pool: String, _ handle: OperationHandle) async throws {
        let entry = try entry(name)
        let (from, to) = (try pools.driver(entry.record.pool), try pools.driver(pool))
        guard !to.exists(.container(name)) else {
            throw ServiceError.conflict(
                "Storage pool \"\(pool)\" has files of a container \"\(name)\" already")
        }
        let devices = entry.record.devices.merging(rootDisk(of: entry.record, in: pool)) { _, new in new }
        try await withRollback { rollback in
            rollback.add {
                if to.exists(.container(name)) { try await to.delete(.container(name)) }
            }
            handle.progress("Copying files")
            try await to.copy(.container(name), of: from, to: .container(name))
            for (index, snapshot) in entry.snapshots.enumerated() {
                try Task.checkCancellation()
                handle.progress("Copying snapshots", percent: index * 100 / entry.snapshots.count)
                let volume = Volume.snapshot(container: name, name: snapshot.name)
                try await to.copy(volume, of: from, to: volume)
            }
            rollback.add { try await self.place(name, in: entry.record.pool, entry.record.devices) }
            try place(name, in: pool, devices)
            try await applyRootSize(try self.entry(name).record)
        }
        do {
            try await from.delete(.container(name))
        } catch {
            logger(name).error(
                "its files in its former storage pool cannot be removed",
                metadata: ["pool": "\(entry.record.pool)", "error": "\(ServiceError.text(of: error))"])
        }
        tell("instance-updated", name)
    }

    private func place(_ name: String, in pool: String, _ devices: DevicesMap) throws {
        try change(name) { record in
            record.pool = pool
            record.devices = devices
        }
    }

    /// The container's root disk as it has to be in a pool; nothing if its profiles say so already.
    func rootDisk(of record: ContainerRecord, in pool: String) -> DevicesMap {
        let root = expanded(record).devices.first { $0.value["type"] == "disk" && $0.value["path"] == "/" }
        guard let root else { return ["root": ["type": "disk", "path": "/", "pool": pool]] }
        if root.value["pool"] == pool { return [:] }
        return [root.key: root.value.merging(["pool": pool]) { _, new in new }]
    }

    /// A move was interrupted: what lies in the pool that is not the container's is removed.
    func finishPoolMove(_ name: String, between pools: String) async throws {
        guard let entry = entries[name] else { return }
        for pool in pools.split(separator: " ").map(String.init) where pool != entry.record.pool {
            let driver = try self.pools.driver(pool)
            if driver.exists(.container(name)) { try await driver.delete(.container(name)) }
        }
        logger(name).notice(
            "moving it to another storage pool was interrupted; it is in \(entry.record.pool)")
    }
}
