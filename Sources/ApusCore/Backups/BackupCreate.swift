public import ApusAPI
import Checkpoint
import Images
import LinuxSystem
import Logging
import Storage

/// Making backups.
extension ContainerService {
    /// The journal's word for it.
    static let export = "exporting"

    /// Makes a backup of a container: its files as they are at one instant, its snapshots, and the running states that
    /// are kept.
    public func createBackup(_ name: String, _ post: InstanceBackupsPost) throws -> ApusAPI.Operation {
        _ = try entry(name)
        guard !post.optimizedStorage else {
            throw ServiceError.badRequest(
                "Backups in a storage driver's own format are not made; do without --optimized-storage (optimized_storage)"
            )
        }
        let compression = try backupCompression(post.compressionAlgorithm)
        let taken =
            backupFiles.names(name)
            + backupsUnderWay.filter { $0.hasPrefix(name + "/") }.map { String($0.dropFirst(name.count + 1)) }
        var backup = InstanceBackup()
        backup.name = post.name.isEmpty ? Names.free("backup", among: taken) : post.name
        backup.expiresAt = post.expiresAt ?? .zero
        backup.instanceOnly = post.instanceOnly || post.containerOnly
        backup.containerOnly = backup.instanceOnly
        try Names.checkBackup(backup.name)
        try requireFreeBackup(name, backup.name)
        let lock = try context.locks.acquireToRead(name, "being exported")
        let passing = "apus-export." + RandomID.uuid()
        let journal = try context.store.begin(
            JournalEntry(container: name, action: Self.export, detail: passing))
        backupsUnderWay.insert("\(name)/\(backup.name)")
        return context.operations.start(
            "Backing up instance", resources: ["instances": [name], "backups": [backup.name]], mayCancel: true
        ) { [backup] handle in
            defer { lock.release() }
            let outcome: Result<Void, any Error>
            do {
                outcome = .success(
                    try await self.createBackupNow(name, backup, compression, passing: passing, handle))
            } catch {
                outcome = .failure(error)
            }
            try await self.endBackup(name, backup.name, journal)
            try outcome.get()
            return nil
        }
    }

    private func endBackup(_ name: String, _ backup: String, _ journal: Int64) throws {
        backupsUnderWay.remove("\(name)/\(backup)")
        try context.store.end(journal: journal)
        rescheduleBackups()
    }

    private func backupCompression(_ wanted: String) throws -> ImageCompression {
        let algorithm = wanted.isEmpty ? context.config["backups.compression_algorithm"] : wanted
        guard let compression = ImageCompression(rawValue: algorithm), compression != .squashfs else {
            let known = ImageCompression.allCases.filter { $0 != .squashfs }.map(\.rawValue)
            throw ServiceError.badRequest(
                "Unknown compression \"\(algorithm)\"; there are \(known.joined(separator: ", "))")
        }
        return compression
    }

    /// What the name of a backup's file ends in.
    static func suffix(ofBackup path: String) -> String { ImageCompression.of(path).suffix }

    private func createBackupNow(
        _ name: String, _ backup: InstanceBackup, _ compression: ImageCompression, passing: String,
        _ handle: OperationHandle
    ) async throws {
        let entry = try entry(name)
        let driver = try pools.driver(entry.record.pool)
        let work = context.directory.work + "/backup-" + RandomID.uuid()
        try Files.makeDirectories(work, mode: 0o700)
        defer { removeWork(work) }
        let snapshots = backup.instanceOnly ? [] : entry.snapshots
        var parts = snapshots.map { snapshot in
            (
                part: BackupPart.snapshot(snapshot.name),
                directory: driver.directory(of: .snapshot(container: name, name: snapshot.name))
            )
        }
        let states = try await states(of: entry, snapshots, handle)
        let index = BackupIndex(entry, snapshots, self.expanded(entry.record), driver.driver)
        let archive = BackupFiles.archive(in: work)
        handle.progress("Packing files")
        func pack(_ volume: Volume) async throws {
            parts.append((.container, driver.directory(of: volume)))
            try await BackupPacker.pack(index, parts + states, to: archive, compression: compression) {
                bytes in
                var progress = OperationProgress(stage: "Packing files")
                progress.bytesDone = bytes
                handle.progress(progress)
            }
        }
        if let live = entry.live {
            try await withPassingSnapshot(
                passing, of: live, frozen: entry.record.frozen, in: driver, pack)
        } else {
            try await pack(.container(name))
        }
        try Task.checkCancellation()
        var backup = backup
        backup.createdAt = .now()
        try backupFiles.keep(work, as: backup, of: name)
        tell("instance-backup-created", name, backup: backup.name)
    }

    private func removeWork(_ path: String) {
        guard Files.exists(path) else { return }
        do {
            try removeTree(path)
        } catch {
            context.logger.warning("cannot remove a work directory", metadata: ["error": "\(error)"])
        }
    }

    /// The running states that are kept, if they are whole: a backup that cannot be gone on from is worth nothing.
    private func states(
        of entry: ContainerEntry, _ snapshots: [SnapshotRecord], _ handle: OperationHandle
    ) async throws -> [(part: BackupPart, directory: String)] {
        let name = entry.record.name
        var states = snapshots.filter(\.stateful).map { snapshot in
            (
                part: BackupPart.snapshotState(snapshot.name),
                directory: context.directory.snapshotState(name, snapshot.name)
            )
        }
        if entry.record.stateful { states.append((.state, context.directory.stoppedState(name))) }
        for (_, directory) in states {
            handle.progress("Checking saved states")
            try CheckpointStore.check(directory)
            try await CheckpointStore.verifyMemory(directory: directory)
        }
        return states
    }
}
