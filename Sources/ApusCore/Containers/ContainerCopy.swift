import ApusAPI
import ContainerRuntime
import LinuxSystem
import Logging
import Storage

/// What a copy is made of: a container with its snapshots, or one snapshot.
struct CopyOrigin: Sendable {
    let container: String
    let snapshot: String?
    let withSnapshots: Bool
}

extension ContainerService {
    /// Finds what is to be copied.
    func copyOrigin(_ source: InstanceSource) throws -> CopyOrigin {
        let parts = source.source.split(separator: "/", maxSplits: 1).map(String.init)
        guard let container = parts.first else {
            throw ServiceError.badRequest("Say which container to copy: the source has no name")
        }
        _ = try entry(container)
        guard parts.count == 2 else {
            return CopyOrigin(
                container: container, snapshot: nil,
                withSnapshots: !source.containerOnly && !source.instanceOnly)
        }
        _ = try record(container, parts[1])
        return CopyOrigin(container: container, snapshot: parts[1], withSnapshots: false)
    }

    /// What the request leaves open is as it is in the original.
    func inherit(_ copy: inout ContainerRecord, from post: InstancesPost) throws {
        let origin = try copyOrigin(post.source)
        let container = try entry(origin.container).record
        var (config, devices, profiles) = (container.config, container.devices, container.profiles)
        if let name = origin.snapshot {
            let snapshot = try record(origin.container, name)
            (config, devices) = (snapshot.config, snapshot.devices)
            // A profile may have gone since.
            profiles = snapshot.profiles.filter { (try? self.profiles.get($0)) != nil }
        }
        // An empty value takes a key of the original away.
        copy.config = config.merging(copy.config) { _, given in given }.filter { !$0.value.isEmpty }
        copy.devices = devices.merging(copy.devices) { _, given in given }
        copy.profiles = post.profiles ?? profiles
        copy.baseImage = container.baseImage
        if copy.description.isEmpty { copy.description = container.description }
    }

    /// Copies files: those of the container, and those of its snapshots. The rows of the snapshots are written as well.
    func copyFiles(
        of origin: CopyOrigin, to copy: ContainerRecord, _ driver: any StorageDriver,
        _ handle: OperationHandle
    ) async throws -> [SnapshotRecord] {
        let source = try entry(origin.container)
        let from = try pools.driver(source.record.pool)
        handle.progress("Copying files")
        if let snapshot = origin.snapshot {
            let volume = Volume.snapshot(container: origin.container, name: snapshot)
            try await driver.copy(volume, of: from, to: .container(copy.name))
        } else if let live = source.live {
            try await copyRunning(live, frozen: source.record.frozen, from, to: copy.name, driver)
        } else {
            try await driver.copy(.container(origin.container), of: from, to: .container(copy.name))
        }
        guard origin.withSnapshots else { return [] }
        var snapshots: [SnapshotRecord] = []
        for (index, original) in source.snapshots.enumerated() {
            try Task.checkCancellation()
            handle.progress("Copying snapshots", percent: index * 100 / source.snapshots.count)
            try await driver.copy(
                .snapshot(container: origin.container, name: original.name), of: from,
                to: .snapshot(container: copy.name, name: original.name))
            var snapshot = original
            snapshot.containerID = copy.id
            // A saved state belongs to the ids, the name and the addresses of its own container.
            snapshot.stateful = false
            snapshot.stateSize = 0
            snapshots.append(try context.store.insert(snapshot))
        }
        return snapshots
    }

    /// The snapshot that a copy of a running container goes through.
    private static func passingSnapshot(for copy: String) -> String { "apus-copy.\(copy)" }

    /// Copies a running container's files at one instant.
    private func copyRunning(
        _ live: LiveContainer, frozen: Bool, _ from: any StorageDriver, to copy: String,
        _ driver: any StorageDriver
    ) async throws {
        try await withPassingSnapshot(Self.passingSnapshot(for: copy), of: live, frozen: frozen, in: from) {
            try await driver.copy($0, of: from, to: .container(copy))
        }
    }

    /// Removes the snapshot that a copy cut short by a crash has left at its original.
    func removePassingSnapshot(of source: String, for copy: String) async throws {
        guard let container = source.split(separator: "/").first.map(String.init) else { return }
        try await removePassingSnapshot(Self.passingSnapshot(for: copy), of: container)
    }
}

extension StorageDriver {
    /// Copies a volume of this pool, or of another one.
    func copy(_ source: Volume, of other: any StorageDriver, to destination: Volume) async throws {
        if other.poolPath == poolPath { return try await copy(source, to: destination) }
        try await create(destination) { try await VolumeTransfer.copy(other.directory(of: source), to: $0) }
    }
}
