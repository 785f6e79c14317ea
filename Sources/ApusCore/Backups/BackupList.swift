public import ApusAPI
import LinuxSystem
import Logging

/// Backups that have been made.
extension ContainerService {
    nonisolated var backupFiles: BackupFiles { BackupFiles(directory: context.directory) }

    /// A container's backups, oldest first.
    public func backups(_ name: String) throws -> [InstanceBackup] {
        _ = try entry(name)
        return backupFiles.list(name)
    }

    /// A backup.
    public func backup(_ name: String, _ backup: String) throws -> InstanceBackup {
        _ = try entry(name)
        return try backupFiles.get(name, backup)
    }

    /// The file of a backup, and a name to offer it under.
    public func backupFile(_ name: String, _ backup: String) throws -> (path: String, name: String) {
        _ = try self.backup(name, backup)
        let path = BackupFiles.archive(in: backupFiles.folder(name, backup))
        tell("instance-backup-retrieved", name, backup: backup)
        return (path, name + Self.suffix(ofBackup: path))
    }

    /// Renames a backup.
    public func renameBackup(_ name: String, _ backup: String, to newName: String) throws -> ApusAPI.Operation
    {
        try Names.checkBackup(newName)
        _ = try self.backup(name, backup)
        try requireFreeBackup(name, newName)
        return try context.operate(
            on: name, "renaming a backup", "Renaming instance backup", detail: "\(backup)/\(newName)"
        ) { _ in
            try await self.renameBackupNow(name, backup, to: newName)
            return nil
        }
    }

    private func renameBackupNow(_ name: String, _ backup: String, to newName: String) throws {
        try requireFreeBackup(name, newName)
        try moveFile(backupFiles.folder(name, backup), backupFiles.folder(name, newName))
        tell("instance-backup-renamed", name, backup: newName)
    }

    /// Refuses a backup's name that is taken.
    func requireFreeBackup(_ name: String, _ backup: String) throws {
        guard !backupFiles.exists(name, backup), !backupsUnderWay.contains("\(name)/\(backup)") else {
            throw ServiceError.conflict("Backup \"\(backup)\" already exists")
        }
    }

    /// Deletes a backup. Who is fetching it gets it whole.
    public func deleteBackup(_ name: String, _ backup: String) throws -> ApusAPI.Operation {
        _ = try self.backup(name, backup)
        let lock = try context.locks.acquireToRead(name, "losing a backup")
        return context.operations.start(
            "Removing instance backup", resources: ["instances": [name], "backups": [backup]]
        ) { _ in
            defer { lock.release() }
            try await self.deleteBackupNow(name, backup)
            return nil
        }
    }

    private func deleteBackupNow(_ name: String, _ backup: String) throws {
        _ = try self.backup(name, backup)
        try backupFiles.remove(name, backup)
        tell("instance-backup-deleted", name, backup: backup)
    }

    func tell(_ action: String, _ name: String, backup: String) {
        context.events.lifecycle(action, "/1.0/instances/\(name)/backups/\(backup)")
    }

    // MARK: Expiry

    /// Sets the timer for the next backup that expires, and deletes those that have. There is none if nothing expires.
    func rescheduleBackups() {
        backupUpkeep?.cancel()
        backupUpkeep = nil
        let now = Timestamp.now()
        var next: Timestamp?
        for name in backupFiles.containers where entries[name] != nil {
            for backup in backupFiles.list(name) where !backup.expiresAt.isZero {
                guard backup.expiresAt <= now else {
                    next = min(next ?? backup.expiresAt, backup.expiresAt)
                    continue
                }
                expire(name, backup.name)
            }
        }
        guard let next else { return }
        backupUpkeep = Task { [weak self] in
            // A day is as long as anyone sleeps: clocks are set, and times may lie beyond all reckoning.
            let wait = min(max(1, next.seconds - Timestamp.now().seconds + 1), 86_400)
            try await Task.sleep(for: .seconds(wait), tolerance: .seconds(min(60, wait)))
            await self?.rescheduleBackups()
        }
    }

    private func expire(_ name: String, _ backup: String) {
        do {
            // A container that is being renamed or deleted takes its backups with it.
            let lock = try context.locks.acquireToRead(name, "losing a backup")
            defer { lock.release() }
            try deleteBackupNow(name, backup)
            logger(name).info("a backup that has expired is deleted", metadata: ["backup": "\(backup)"])
        } catch {
            logger(name).warning(
                "cannot delete a backup that has expired",
                metadata: ["backup": "\(backup)", "error": "\(ServiceError.text(of: error))"])
        }
    }
}
