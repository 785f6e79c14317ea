public import ApusAPI
import Checkpoint
import ContainerRuntime
import Images
import LinuxSystem
import Storage

extension ContainerService {
    /// Deletes a stopped container with its snapshots, saved states and logs.
    public func delete(_ name: String) throws -> ApusAPI.Operation {
        guard try entry(name).live == nil else {
            throw ServiceError.badRequest("The instance is running; stop it first, or use --force")
        }
        return try context.operate(on: name, "deleting", "Deleting instance") { _ in
            try await self.deleteNow(name)
            return nil
        }
    }

    /// Deletes a stopped container; its lock is held by the caller.
    /// - Parameter livesOn: whether it lives on somewhere else, where it may go on with its addresses.
    func deleteNow(_ name: String, livesOn: Bool = false) async throws {
        let entry = try entry(name)
        guard entry.live == nil else { throw ServiceError.badRequest("The instance is running") }
        let driver = try pools.driver(entry.record.pool)
        for snapshot in entry.snapshots where snapshot.stateful {
            try CheckpointStore.remove(directory: context.directory.snapshotState(name, snapshot.name))
        }
        try CheckpointStore.remove(directory: context.directory.stoppedState(name))
        if driver.exists(.container(name)) {
            try await driver.delete(.container(name))
        } else {
            // Of a container that was on its way here the snapshots came first.
            for snapshot in entry.snapshots.map({ Volume.snapshot(container: name, name: $0.name) })
            where driver.exists(snapshot) {
                try await driver.delete(snapshot)
            }
        }
        try removeTree(context.directory.backups(name))
        try removeTree(context.directory.checkpoints(name))
        try removeTree(context.directory.logs(name))
        try removeTree(context.directory.runtime(name))
        try context.store.deleteContainer(entry.record.id)
        await forgetInterfaces(entry.record, release: !livesOn)
        entries[name] = nil
        idmaps.release(name)
        tell("instance-deleted", name)
    }

    /// Renames a stopped container with all that belongs to it.
    public func rename(_ name: String, to newName: String) throws -> ApusAPI.Operation {
        try Names.checkInstance(newName)
        guard try entry(name).live == nil else {
            throw ServiceError.badRequest("The instance is running; stop it before renaming it")
        }
        guard entries[newName] == nil else {
            throw ServiceError.conflict("Instance \"\(newName)\" already exists")
        }
        let target = try context.locks.acquire(newName, "being made by a rename")
        do {
            return try context.operate(on: name, "renaming", "Renaming instance", detail: newName) { _ in
                defer { target.release() }
                try await self.renameNow(name, to: newName)
                return nil
            }
        } catch {
            target.release()
            throw error
        }
    }

    private func renameNow(_ name: String, to newName: String) async throws {
        let entry = try entry(name)
        let driver = try pools.driver(entry.record.pool)
        try await withRollback { rollback in
            try await driver.rename(.container(name), to: newName)
            rollback.add { try await driver.rename(.container(newName), to: name) }
            for (from, to) in [
                (context.directory.checkpoints(name), context.directory.checkpoints(newName)),
                (context.directory.logs(name), context.directory.logs(newName)),
                (context.directory.backups(name), context.directory.backups(newName)),
            ] where Files.exists(from) {
                try removeTree(to)
                try moveFile(from, to)
                rollback.add { try moveFile(to, from) }
            }
            var record = entry.record
            record.name = newName
            try context.store.update(record)
            entries[name] = nil
            entries[newName] = ContainerEntry(record: record, snapshots: entry.snapshots)
            idmaps.rename(name, to: newName)
        }
        try? removeTree(context.directory.runtime(name))
        await forgetInterfaces(entry.record, release: false)
        try await applyTemplates(
            try self.entry(newName).record, event: .rename, volume: driver.directory(of: .container(newName)))
        tell("instance-renamed", newName, ["old_name": .string(name)])
    }
}
