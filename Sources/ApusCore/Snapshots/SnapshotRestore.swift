public import ApusAPI
import Checkpoint
import ContainerRuntime
import LinuxSystem
import Storage

extension ContainerService {
    /// Puts a container back to a snapshot: its files, and with `stateful` its running state.
    public func restore(_ name: String, snapshot: String, stateful: Bool) throws -> ApusAPI.Operation {
        let record = try record(name, snapshot)
        if stateful {
            guard record.stateful else {
                throw ServiceError.badRequest(
                    "Snapshot \"\(snapshot)\" has no running state; restore it without --stateful")
            }
        }
        return try context.operate(on: name, "restoring", "Restoring snapshot", detail: snapshot) { handle in
            if stateful {
                try await self.restoreStateful(name, record, handle)
            } else {
                try await self.restoreFiles(name, record, handle)
            }
            await self.tellRestored(name, snapshot)
            return nil
        }
    }

    private func tellRestored(_ name: String, _ snapshot: String) {
        tell("instance-restored", name, ["snapshot": .string(snapshot)])
    }

    /// Files only: a running container is stopped, put back, and started again.
    private func restoreFiles(_ name: String, _ snapshot: SnapshotRecord, _ handle: OperationHandle)
        async throws
    {
        let driver = try pools.driver(try entry(name).record.pool)
        handle.progress("Copying files")
        let staged = try await driver.stage(.snapshot(container: name, name: snapshot.name), for: name)
        let wasRunning = try entry(name).live != nil
        try await withRollback { rollback in
            rollback.add { await staged.discard() }
            if let live = try entry(name).live {
                rollback.add { try await self.startAgain(name) }
                try await kill(live)
            }
            let before = try entry(name).record
            try await staged.swap()
            rollback.add { try await staged.swap() }
            try putBack(name, snapshot)
            rollback.add { try await self.putBack(name, before) }
            if before.stateful { try forgetState(name) }
            if wasRunning { try await startNow(name) }
        }
        await staged.discard()
    }

    private func startAgain(_ name: String) async throws {
        if try entry(name).live == nil { try await startNow(name) }
    }

    /// Files and running state. What runs now stands still until the restored container is there, held; then one
    /// takes the other's place. On failure it is as it was before.
    private func restoreStateful(_ name: String, _ snapshot: SnapshotRecord, _ handle: OperationHandle)
        async throws
    {
        let directory = context.directory.snapshotState(name, snapshot.name)
        handle.progress("Checking the saved state")
        let checkpointer = try await context.checkpoints.checkpointer()
        _ = try CheckpointStore.verify(directory: directory, with: checkpointer)
        let driver = try pools.driver(try entry(name).record.pool)
        handle.progress("Copying files")
        let staged = try await driver.stage(.snapshot(container: name, name: snapshot.name), for: name)
        let before = try entry(name)
        let former = before.live
        try await withRollback { rollback in
            rollback.add { await staged.discard() }
            if let former, !before.record.frozen {
                rollback.add { try await former.cgroup.setFrozen(false) }
                try await former.cgroup.setFrozen(true)
            }
            if let former {
                rollback.add { try former.pass(true) }
                try former.pass(false)
            }
            // Keys of the snapshot apply to what it brings back; the row is written when that is certain.
            var record = before.record
            record = restored(record, snapshot)
            record = withAddresses(record)
            record.generation = try context.store.nextGeneration()
            var prepared = try spec(record, rootfs: staged.rootfs)
            let devices = try await startDevices(record, &prepared, rollback)
            let spec = prepared
            if let former { try former.giveUpHostNames(for: spec.interfaces, rollback) }
            handle.progress("Restoring processes")
            let held = try await restoreHeld(spec, from: directory)
            rollback.add { await self.abandon(held, spec) }
            let files = identity(driver.rootfs(of: .container(name)))
            try context.store.setRestoreNote(
                name, RestoreNote(before.record, files: files, next: record.generation))
            rollback.add { try self.context.store.setRestoreNote(name, nil) }
            try await staged.swap()
            rollback.add { try await staged.swap() }
            try commit(name, record)
            rollback.add { try await self.takeBack(name, before) }
            if let former { try former.giveUpAddresses(for: spec.interfaces, rollback) }
            let status = try await held.commit()
            rollback.disarm()
            adopt(name, spec, devices, initPID: status.initPID)
            former?.disconnect()
        }
        try? context.store.setRestoreNote(name, nil)
        if let former {
            await sessions.end(
                name, why: "\(name) was put back to snapshot \(snapshot.name); this session ends")
            // Its watcher finds that another generation has taken its place, and only cleans up.
            try? await kill(former)
        }
        await staged.discard()
        if before.record.stateful { try forgetState(name) }
    }

    private func commit(_ name: String, _ record: ContainerRecord) throws {
        try change(name) { $0 = record }
    }

    private func takeBack(_ name: String, _ before: ContainerEntry) throws {
        try change(name) { $0 = before.record }
        entries[name]?.live = before.live
    }

    private func putBack(_ name: String, _ snapshot: SnapshotRecord) throws {
        let restored = restored(try entry(name).record, snapshot)
        try change(name) { $0 = restored }
    }

    /// A container with a snapshot's configuration. Its files stay in the pool where they are now.
    private func restored(_ record: ContainerRecord, _ snapshot: SnapshotRecord) -> ContainerRecord {
        var restored = record
        restored.apply(snapshot)
        if let pool = rootDisk(restored)?["pool"], pool != record.pool {
            restored.devices.merge(rootDisk(of: restored, in: record.pool)) { _, new in new }
        }
        return restored
    }

    private func putBack(_ name: String, _ before: ContainerRecord) throws {
        try change(name) { record in
            record.config = before.config
            record.devices = before.devices
            record.profiles = before.profiles
            record.ephemeral = before.ephemeral
        }
    }
}

extension ContainerRecord {
    /// Takes a snapshot's configuration over.
    mutating func apply(_ snapshot: SnapshotRecord) {
        config = snapshot.config
        devices = snapshot.devices
        profiles = snapshot.profiles
        ephemeral = snapshot.ephemeral
    }
}
