import ApusAPI
import CRIU
import Checkpoint
import ContainerRuntime
import FoundationEssentials
import LinuxSystem
import Logging
import Migration
import Storage

/// A container on its way to this host.
struct Arrival: Sendable {
    /// What it is to be here.
    var record: ContainerRecord
    /// Its pool.
    var driver: any StorageDriver
    /// A volume here that is much like its files: its image, if that was unpacked.
    var base: Volume?
}

/// A container whose place here is made, and only its state is missing.
struct PreparedArrival: Sendable {
    let spec: ContainerSpec
    let devices: [String: LiveDevice]
    let restore: PreparedRestore
}

extension ContainerService {
    /// Writes a container down that is about to come, so that a daemon killed from here on finds what to remove.
    func begin(_ arrival: Arrival, _ rollback: Rollback) throws -> ContainerRecord {
        let record = try context.store.insert(arrival.record)
        let name = record.name
        entries[name] = ContainerEntry(record: record)
        if let range = record.idmap { idmaps.restore(name, range) }
        rollback.add { await self.removeArrival(record) }
        return record
    }

    private func removeArrival(_ record: ContainerRecord) async {
        do {
            try context.store.deleteContainer(record.id)
        } catch {
            logger(record.name).error(
                "cannot remove what was received", metadata: ["error": "\(ServiceError.text(of: error))"])
        }
        await forgetInterfaces(record, release: false)
        entries[record.name] = nil
        idmaps.release(record.name)
        try? removeTree(context.directory.runtime(record.name))
    }

    /// Takes in the running state of a snapshot.
    func receiveState(
        of snapshot: String, of arrival: Arrival, over fs: any MessageSocket, _ rollback: Rollback,
        count: @escaping @Sendable (Int) -> Void
    ) async throws -> CheckpointRecord {
        let name = arrival.record.name
        try Volume.snapshot(container: name, name: snapshot).validate()
        try context.directory.makeSnapshotStates(name)
        let directory = context.directory.snapshotState(name, snapshot)
        rollback.add { try CheckpointStore.remove(directory: directory) }
        let limit = try Machine.room(in: context.directory.snapshotStates(name))
        return try await MoveStream.through(fs, count: count) {
            try await CheckpointStore.receive(into: directory, over: $0, limit: limit)
        }
    }

    /// A snapshot's files have come, and before them its running state if it has one.
    func keep(
        snapshot name: String, of arrival: Arrival, _ header: MigrationHeader, state: CheckpointRecord? = nil
    ) throws {
        guard let message = header.snapshots.first(where: { $0.name == name }) else {
            throw MigrationError(
                .protocolViolation, "the other host sent a snapshot it had not told of: \(name)")
        }
        var record = SnapshotRecord(message, of: arrival.record)
        record.stateful = state != nil
        record.stateSize = state?.size ?? 0
        let snapshot = try context.store.insert(record)
        entries[arrival.record.name]?.snapshots.append(snapshot)
        // The rows go with that of the container.
    }

    /// Makes everything ready for the processes of a container that is about to come.
    func prepare(_ arrival: Arrival, rootfs: String, _ rollback: Rollback) async throws -> PreparedArrival {
        let name = arrival.record.name
        let record = try beginGeneration(name)
        rollback.add { try await self.endGeneration(name) }
        var spec = try spec(record, rootfs: rootfs)
        let devices = try await startDevices(record, &spec, rollback)
        let final = spec
        let prepared = try await context.launcher.prepareRestore(final)
        rollback.add { try await prepared.abandon() }
        return PreparedArrival(spec: final, devices: devices, restore: prepared)
    }

    /// Begins to take in the memory of a container.
    nonisolated func receivePages(_ socket: FileDescriptor, _ state: CheckpointReceiver) async throws
        -> CRIUPageReceiver
    {
        try await context.checkpoints.checkpointer().receivePages(from: socket, for: state)
    }

    /// Restores the processes, which then stand ready to run.
    nonisolated func restore(
        _ prepared: PreparedArrival, from directory: String, pages: FileDescriptor? = nil
    ) async throws -> HeldRestore {
        let options = RestoreOptions(
            checkpoint: directory, logFile: logFile(prepared.spec.name, "criu-restore"), verify: false)
        return try await prepared.restore.restore(options, pages: pages)
    }

    /// Lets the processes run: the container is this host's, and gets what has come for it.
    func letRun(_ held: HeldRestore, _ prepared: PreparedArrival, _ packets: ArrivingPackets) async throws {
        let interfaces = prepared.spec.interfaces
        let status = try await held.commit { await packets.open(interfaces) }
        adopt(prepared.spec.name, prepared.spec, prepared.devices, initPID: status.initPID)
        tell("instance-started", prepared.spec.name)
    }
}
