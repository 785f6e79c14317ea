import ApusAPI
import FoundationEssentials
import Glibc
import LinuxSystem

/// The backups that wait to be fetched, each in a folder: `archive` and what is known of it. A folder is made in the work
/// directory and renamed into place when it is whole, so nothing has to be put right after a crash.
struct BackupFiles: Sendable {
    private static let about = "backup.json"
    let directory: DataDirectory

    /// The file of a backup that is being made in a folder.
    static func archive(in folder: String) -> String { folder + "/archive" }

    /// A backup's folder, whether it is there or not.
    func folder(_ container: String, _ backup: String) -> String {
        directory.backups(container) + "/" + backup
    }

    /// Whether there is a backup of a name that has been checked.
    func exists(_ container: String, _ backup: String) -> Bool { Files.exists(folder(container, backup)) }

    /// The names of a container's backups.
    func names(_ container: String) -> [String] {
        ((try? Files.names(in: directory.backups(container))) ?? []).sorted()
    }

    /// A container's backups, oldest first.
    func list(_ container: String) -> [InstanceBackup] {
        names(container).compactMap { try? get(container, $0) }.sorted { $0.createdAt < $1.createdAt }
    }

    /// A backup.
    func get(_ container: String, _ backup: String) throws -> InstanceBackup {
        guard (try? Names.checkBackup(backup)) != nil, exists(container, backup) else {
            throw ServiceError.notFound("Instance backup not found")
        }
        let bytes = try Files.bytes(folder(container, backup) + "/" + Self.about, limit: 1 << 16)
        var found = try APIJSON.decode(InstanceBackup.self, from: Data(bytes))
        found.name = backup
        return found
    }

    /// Keeps a backup whose archive has been written into a folder of the work directory.
    func keep(_ made: String, as backup: InstanceBackup, of container: String) throws {
        try Files.write(made + "/" + Self.about, Array(try APIJSON.encode(backup)))
        for file in [Self.archive(in: made), made + "/" + Self.about] {
            let opened = try FileDescriptor.open(file, O_RDONLY)
            try check("fsync", "write \(file) to the disk") { fsync(opened.rawValue) }
        }
        try Files.makeDirectories(directory.backups(container), mode: 0o700)
        try moveFile(made, folder(container, backup.name))
    }

    /// Removes a backup.
    func remove(_ container: String, _ backup: String) throws {
        // At once for all who look: a crash leaves no half of it behind but in the work directory.
        let away = directory.work + "/deleted-" + RandomID.uuid()
        try moveFile(folder(container, backup), away)
        rmdir(directory.backups(container))
        try removeTree(away)
    }

    /// All containers that have backups.
    var containers: [String] { (try? Files.names(in: directory.backups)) ?? [] }
}
