public import ApusAPI
import Checkpoint
import ContainerRuntime
import LinuxSystem
import Storage

extension ContainerService {
    /// Takes a snapshot: of the files, or of files and running state at the same instant.
    public func createSnapshot(_ name: String, _ post: InstanceSnapshotsPost) throws -> ApusAPI.Operation {
        let entry = try entry(name)
        let taken = Set(entry.snapshots.map(\.name))
        let snapshot = post.name.isEmpty ? Names.free("snap", among: taken) : post.name
        try Names.checkSnapshot(snapshot)
        guard !taken.contains(snapshot) else {
            throw ServiceError.conflict(
                "Snapshot \"\(snapshot)\" already exists; delete it first, or choose another name")
        }
        if post.stateful { try checkStateful(name) }
        let stateful = post.stateful
        let expiry = post.expiresAt ?? .zero
        return try context.operate(
            on: name, stateful ? "snapshotting with its state" : "snapshotting", "Snapshotting instance",
            detail: snapshot
        ) { handle in
            try await self.snapshotNow(name, snapshot, stateful: stateful, expiry: expiry, handle)
        }
    }

    /// Takes a snapshot; the container's lock is held by the caller.
    func snapshotNow(
        _ name: String, _ snapshot: String, stateful: Bool, expiry: Timestamp, _ handle: OperationHandle?
    ) async throws -> [String: JSONValue] {
        let entry = try entry(name)
        let driver = try pools.driver(entry.record.pool)
        let volume = Volume.snapshot(container: name, name: snapshot)
        var result: [String: JSONValue] = [:]
        var record = SnapshotRecord(of: entry.record, expanded(entry.record), named: snapshot)
        record.stateful = stateful
        record.expiresAt = expiry
        try await withRollback { rollback in
            rollback.add {
                try CheckpointStore.remove(directory: self.context.directory.snapshotState(name, snapshot))
                if driver.exists(volume) { try await driver.delete(volume) }
            }
            let files = FileSnapshot(driver: driver, container: name, name: snapshot)
            rollback.add { await files.cancel() }
            handle?.progress("Copying files")
            if let live = entry.live, stateful {
                let checkpoint = try await dump(live, snapshot, files, handle)
                record.stateSize = checkpoint.record.size
                result["apus_frozen_us"] = .int(Int64(checkpoint.frozenMicroseconds))
                result["apus_state_size"] = .int(checkpoint.record.size)
                result["apus_attempts"] = .int(Int64(checkpoint.attempts))
            } else if let live = entry.live, !entry.record.frozen {
                try await files.begin()
                // Standing still for the second pass, so that files agree with each other.
                try await live.cgroup.setFrozen(true)
                let outcome: Result<Void, any Error>
                do { outcome = .success(try await files.update()) } catch { outcome = .failure(error) }
                await live.thaw()
                try outcome.get()
                try await files.commit()
            } else {
                try await driver.copy(.container(name), to: volume)
            }
            record.createdAt = .now()
            record = try context.store.insert(record)
        }
        entries[name]?.snapshots.append(record)
        context.events.lifecycle("instance-snapshot-created", "/1.0/instances/\(name)/snapshots/\(snapshot)")
        return result
    }

    private func dump(
        _ live: LiveContainer, _ snapshot: String, _ files: FileSnapshot, _ handle: OperationHandle?
    ) async throws -> CheckpointResult {
        let name = live.spec.name
        let checkpointer = try await context.checkpoints.checkpointer()
        let findings = try await checkpointer.preflight(subject(live))
        guard findings.isEmpty else { throw notCheckpointable(name, findings) }
        try context.directory.makeSnapshotStates(name)
        try await files.begin()
        let directory = context.directory.snapshotState(name, snapshot)
        let result = try await endingHarmed(live) {
            try await checkpointer.dump(
                subject(live), into: directory,
                options: CheckpointOptions(leaveRunning: true, logFile: logFile(name, "criu-dump")),
                onFrozen: { await files.startUpdate() },
                whileFrozen: { try await files.update() },
                progress: { Self.report($0, handle) })
        }
        try await files.commit()
        return result
    }
}

extension SnapshotRecord {
    /// What a snapshot remembers of its container.
    init(of container: ContainerRecord, _ expanded: ExpandedConfig, named name: String) {
        self.init()
        self.name = name
        containerID = container.id
        architecture = container.architecture
        ephemeral = container.ephemeral
        config = container.config
        devices = container.devices
        profiles = container.profiles
        expandedConfig = expanded.config
        expandedDevices = expanded.devices
        lastUsedAt = container.lastUsedAt
    }
}

/// The file half of a snapshot of a running container, in two passes. A dump that is tried again repeats the second.
actor FileSnapshot {
    private let driver: any StorageDriver
    private let container: String
    private let name: String
    private var session: (any SnapshotSession)?
    private var updating: Task<Void, any Error>?

    init(driver: any StorageDriver, container: String, name: String) {
        self.driver = driver
        self.container = container
        self.name = name
    }

    /// The first pass, while the container runs.
    func begin() async throws { session = try await driver.beginSnapshot(of: container, named: name) }

    /// Begins the second pass: the container stands still now.
    func startUpdate() {
        guard let session else { return }
        updating = Task { _ = try await session.update() }
    }

    /// Ends the second pass. The container may run on after this.
    func update() async throws {
        if updating == nil { startUpdate() }
        let task = updating
        updating = nil
        try await task?.value
    }

    /// Makes what was copied the snapshot.
    func commit() async throws {
        try await session?.commit()
        session = nil
    }

    /// Gives it up.
    func cancel() async {
        _ = try? await updating?.value
        await session?.cancel()
        session = nil
    }
}
