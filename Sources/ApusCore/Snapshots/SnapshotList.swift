public import ApusAPI
import Checkpoint
import LinuxSystem
import Storage

extension ContainerService {
    /// The snapshots of a container, oldest first.
    public func snapshots(_ name: String) throws -> [InstanceSnapshot] {
        try entry(name).snapshots.map(\.snapshot)
    }

    /// A snapshot.
    public func snapshot(_ name: String, _ snapshot: String) throws -> InstanceSnapshot {
        try record(name, snapshot).snapshot
    }

    func record(_ name: String, _ snapshot: String) throws -> SnapshotRecord {
        guard let record = try entry(name).snapshots.first(where: { $0.name == snapshot }) else {
            throw ServiceError.notFound("Instance snapshot not found")
        }
        return record
    }

    /// Deletes a snapshot.
    public func deleteSnapshot(_ name: String, _ snapshot: String) throws -> ApusAPI.Operation {
        _ = try record(name, snapshot)
        return try context.operate(on: name, "deleting a snapshot", "Deleting snapshot", detail: snapshot) {
            _ in
            try await self.deleteSnapshotNow(name, snapshot)
            return nil
        }
    }

    func deleteSnapshotNow(_ name: String, _ snapshot: String) async throws {
        let record = try record(name, snapshot)
        let driver = try pools.driver(try entry(name).record.pool)
        let volume = Volume.snapshot(container: name, name: snapshot)
        try CheckpointStore.remove(directory: context.directory.snapshotState(name, snapshot))
        if driver.exists(volume) { try await driver.delete(volume) }
        try context.store.deleteSnapshot(record.id)
        entries[name]?.snapshots.removeAll { $0.id == record.id }
        context.events.lifecycle("instance-snapshot-deleted", "/1.0/instances/\(name)/snapshots/\(snapshot)")
    }

    /// Renames a snapshot.
    public func renameSnapshot(_ name: String, _ snapshot: String, to newName: String) throws
        -> ApusAPI.Operation
    {
        try Names.checkSnapshot(newName)
        _ = try record(name, snapshot)
        guard try !entry(name).snapshots.contains(where: { $0.name == newName }) else {
            throw ServiceError.conflict("Snapshot \"\(newName)\" already exists")
        }
        return try context.operate(
            on: name, "renaming a snapshot", "Renaming snapshot", detail: "\(snapshot)/\(newName)"
        ) { _ in
            try await self.renameSnapshotNow(name, snapshot, to: newName)
            return nil
        }
    }

    private func renameSnapshotNow(_ name: String, _ snapshot: String, to newName: String) async throws {
        let record = try record(name, snapshot)
        let driver = try pools.driver(try entry(name).record.pool)
        try await withRollback { rollback in
            try await driver.rename(.snapshot(container: name, name: snapshot), to: newName)
            rollback.add { try await driver.rename(.snapshot(container: name, name: newName), to: snapshot) }
            if record.stateful {
                let (from, to) = (
                    context.directory.snapshotState(name, snapshot),
                    context.directory.snapshotState(name, newName)
                )
                try moveFile(from, to)
                rollback.add { try moveFile(to, from) }
            }
            try context.store.renameSnapshot(record.id, to: newName)
        }
        if let index = entries[name]?.snapshots.firstIndex(where: { $0.id == record.id }) {
            entries[name]?.snapshots[index].name = newName
        }
        context.events.lifecycle("instance-snapshot-renamed", "/1.0/instances/\(name)/snapshots/\(newName)")
    }
}
