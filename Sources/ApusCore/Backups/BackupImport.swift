public import ApusAPI
import Images
import LinuxSystem
import Logging
import Storage

/// What a backup is to become.
private struct ImportPlan: Sendable {
    var record: ContainerRecord
    var snapshots: [SnapshotRecord]
    let index: BackupIndex
    /// Whether running states come along.
    let withStates: Bool
}

/// Making containers of backups.
extension ContainerService {
    /// Begins to take a backup in.
    public nonisolated func beginImport() throws -> BackupUpload {
        try BackupUpload(in: context.directory.work)
    }

    /// Makes a container of a backup.
    /// - Parameters:
    ///   - name: its name; empty for the one it had.
    ///   - pool: its storage pool; empty for the one it was in, or that of the default profile.
    ///   - stateless: leaves running states out.
    public func importBackup(
        _ upload: BackupUpload, name: String, pool: String, stateless: Bool
    ) async throws -> ApusAPI.Operation {
        do {
            let index: BackupIndex
            do {
                index = try await BackupArchive.index(upload.path)
            } catch let error as ImageError {
                throw ServiceError.badRequest(error.message)
            }
            let plan = try plan(index, name: name, pool: pool, stateless: stateless)
            try await checkDevices(plan.record)
            try requireFree(plan.record.name)
            // "creating": a daemon that finds the operation cut short removes what was made so far.
            return try context.operate(
                on: plan.record.name, "creating", "Restoring backup", mayCancel: true
            ) { handle in
                defer { upload.cancel() }
                try await self.importNow(plan, upload, handle)
                return nil
            }
        } catch {
            upload.cancel()
            throw error
        }
    }

    /// Checks what the index says, as a new container is checked.
    private func plan(
        _ index: BackupIndex, name: String, pool: String, stateless: Bool
    ) throws -> ImportPlan {
        guard index.type == "container" else {
            throw ServiceError.badRequest(
                "This is a backup of a \(index.type); only containers can be imported")
        }
        guard !index.isOptimized else {
            throw ServiceError.badRequest(
                "This backup is in the format of the storage driver \(index.backend); export it without --optimized-storage"
            )
        }
        let from = index.instance
        var record = ContainerRecord()
        record.name = name.isEmpty ? index.name : name
        try Names.checkInstance(record.name)
        try requireFree(record.name)
        let architecture = Machine.names.architecture
        guard from.architecture.isEmpty || from.architecture == architecture else {
            throw ServiceError.badRequest("This machine runs \(architecture), not \(from.architecture)")
        }
        record.uuid = RandomID.uuid()
        record.architecture = architecture
        record.description = from.description
        record.ephemeral = from.isEphemeral
        record.config = from.ownConfig
        record.devices = from.devices
        record.profiles = from.profiles
        record.baseImage = from.config["volatile.base_image"] ?? ""
        record.createdAt = Timestamp(from.createdAt) ?? .now()
        record.lastUsedAt = Timestamp(from.lastUsedAt) ?? .zero
        try check(record.profiles, record.config, record.devices)
        let withStates = !index.states.isEmpty && !stateless
        if withStates {
            // Its processes know these addresses.
            record.volatile = from.config.hardwareAddresses
        }
        try place(&record, asked: pool, former: index.pool)
        record = withAddresses(record)
        let snapshots = try index.snapshots.map { snapshot in
            try Names.checkSnapshot(snapshot.name)
            let kept = SnapshotRecord(snapshot)
            do {
                try ConfigCheck.check(kept.config)
                try ConfigCheck.check(devices: kept.devices)
            } catch let error as ServiceError {
                throw ServiceError(error.code, "Snapshot \"\(kept.name)\" of the backup: \(error.message)")
            }
            return kept
        }
        return ImportPlan(record: record, snapshots: snapshots, index: index, withStates: withStates)
    }

    private func requireFree(_ name: String) throws {
        guard entries[name] == nil else {
            throw ServiceError.conflict(
                "Instance \"\(name)\" already exists; delete it, or import the backup under another name")
        }
    }

    private func check(_ names: [String], _ config: ConfigMap, _ devices: DevicesMap) throws {
        for profile in names where (try? profiles.get(profile)) == nil {
            throw ServiceError.notFound("Profile not found: this host has no profile \"\(profile)\"")
        }
        try ConfigCheck.check(config)
        try ConfigCheck.check(devices: devices)
    }

    /// Chooses the pool: the one asked for, the one of the same name, or that of the default profile.
    private func place(_ record: inout ContainerRecord, asked: String, former: String) throws {
        if asked.isEmpty, (try? pools.location(former)) == nil {
            record.pool = try pools.poolForRoot(profiles.expand(["default"], [:], [:]).devices)
        } else {
            record.pool = asked.isEmpty ? former : asked
        }
        _ = try pools.driver(record.pool)
        record.devices.merge(rootDisk(of: record, in: record.pool)) { _, new in new }
    }

    /// Takes a backup in; the container's lock is held by the caller.
    private func importNow(_ plan: ImportPlan, _ upload: BackupUpload, _ handle: OperationHandle)
        async throws
    {
        let (index, name) = (plan.index, plan.record.name)
        let driver = try pools.driver(plan.record.pool)
        let folder = upload.folder + "/states"
        handle.progress("Checking the backup", percent: 0)
        try await BackupArchive.inspect(upload.path, index, states: plan.withStates ? folder : nil) {
            handle.progress("Checking the backup", percent: Int($0 * 100))
        }
        var (record, snapshots) = (plan.record, plan.snapshots)
        if plan.withStates {
            let states = try await SavedStates(index, in: folder, context, handle)
            try states.apply(to: &record, &snapshots)
            try requireIdentity(of: record)
        }
        try await withRollback { rollback in
            // The rows come first: a daemon killed from here on finds in its journal what to remove.
            record = try context.store.insert(record)
            rollback.add { [id = record.id] in try self.context.store.deleteContainer(id) }
            if let range = record.idmap {
                idmaps.restore(name, range)
                rollback.add { await self.releaseIDs(of: name) }
            }
            for place in snapshots.indices {
                snapshots[place].containerID = record.id
                snapshots[place] = try context.store.insert(snapshots[place])
            }
            try await unpack(index, upload, record, driver, rollback, handle)
            if plan.withStates {
                rollback.add { try removeTree(self.context.directory.checkpoints(name)) }
                try SavedStates.install(index, from: folder, as: name, context.directory)
            }
            try Task.checkCancellation()
            try await applyRootSize(record)
            // Files of processes that are to go on are left as they know them.
            if !record.stateful, name != index.instance.name {
                try await applyTemplates(
                    record, event: .copy, volume: driver.directory(of: .container(name)))
            }
        }
        entries[name] = ContainerEntry(record: record, snapshots: snapshots)
        tell("instance-created", name)
    }

    private func releaseIDs(of name: String) { idmaps.release(name) }

    /// Unpacks the files of the container and of its snapshots into its pool.
    private func unpack(
        _ index: BackupIndex, _ upload: BackupUpload, _ record: ContainerRecord, _ driver: any StorageDriver,
        _ rollback: Rollback, _ handle: OperationHandle
    ) async throws {
        let reader = try BackupReader(upload.path)
        while let part = try await reader.next() {
            let volume: Volume
            let shift: IDMap?
            switch part {
            case .snapshot(let snapshot):
                volume = .snapshot(container: record.name, name: snapshot)
                shift = index.snapshots.first { $0.name == snapshot }?.shift
            default:
                volume = .container(record.name)
                shift = index.instance.shift
            }
            rollback.add { if driver.exists(volume) { try await driver.delete(volume) } }
            try await driver.create(volume) { directory in
                let report = try await reader.unpack(into: directory) {
                    handle.progress("Unpacking files", percent: Int($0 * 100))
                }
                if let shift {
                    try await Blocking.run { try TreeShift.unshift(directory + "/rootfs", by: shift) }
                }
                for note in report.notes { self.logger(record.name).info("import: \(note)") }
            }
        }
    }

    /// Refuses a container whose processes would meet others that have their ids or addresses.
    private func requireIdentity(of record: ContainerRecord) throws {
        let advice = "; or leave its running states out (apus import --stateless)"
        guard ConfigValues.isTrue(expanded(record).config, "security.privileged") == (record.idmap == nil)
        else {
            throw ServiceError.badRequest(
                "Its running states are those of a container with another security.privileged\(advice)")
        }
        if let range = record.idmap, let other = idmaps.owner(of: range) {
            throw ServiceError.conflict(
                "The user ids \(range.lowerBound)-\(range.upperBound - 1), which its processes keep, are those of \"\(other)\". Delete that\(advice)"
            )
        }
        let addresses = Set(record.volatile.values)
        if let other = entries.values.first(where: { !addresses.isDisjoint(with: $0.record.volatile.values) })
        {
            throw ServiceError.conflict(
                "\"\(other.record.name)\" has the network address that its processes keep. Delete that\(advice)"
            )
        }
    }
}
