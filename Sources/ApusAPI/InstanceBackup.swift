/// A backup of a container: an archive that the daemon keeps until it is fetched, and not for ever.
public struct InstanceBackup: Codable, Sendable, Equatable {
    /// Its name, without the container's.
    @Defaulted public var name: String
    /// When it was made.
    @Defaulted public var createdAt: Timestamp
    /// When it is deleted by itself; zero for never.
    @Defaulted public var expiresAt: Timestamp
    /// Whether the snapshots were left out.
    @Defaulted public var instanceOnly: Bool
    /// The older name of `instanceOnly`.
    @Defaulted public var containerOnly: Bool
    /// Always false: archives are such that every storage driver can take them in.
    @Defaulted public var optimizedStorage: Bool

    enum CodingKeys: String, CodingKey {
        case name
        case createdAt = "created_at"
        case expiresAt = "expires_at"
        case instanceOnly = "instance_only"
        case containerOnly = "container_only"
        case optimizedStorage = "optimized_storage"
    }

    /// An empty backup.
    public init() {}
}

/// What `POST /1.0/instances/<name>/backups` takes.
public struct InstanceBackupsPost: Codable, Sendable, Equatable {
    /// The name; the daemon picks "backupN" if it is empty.
    @Defaulted public var name: String
    /// When it is to be deleted by itself.
    public var expiresAt: Timestamp?
    /// Leave the snapshots out.
    @Defaulted public var instanceOnly: Bool
    /// The older name of `instanceOnly`.
    @Defaulted public var containerOnly: Bool
    /// Refused: a storage driver's own format.
    @Defaulted public var optimizedStorage: Bool
    /// How it is compressed; empty for `backups.compression_algorithm`.
    @Defaulted public var compressionAlgorithm: String

    enum CodingKeys: String, CodingKey {
        case name
        case expiresAt = "expires_at"
        case instanceOnly = "instance_only"
        case containerOnly = "container_only"
        case optimizedStorage = "optimized_storage"
        case compressionAlgorithm = "compression_algorithm"
    }

    /// A backup with everything, for as long as it is not deleted.
    public init() {}
}

/// What `POST /1.0/instances/<name>/backups/<backup>` takes: a new name.
public struct InstanceBackupPost: Codable, Sendable, Equatable {
    /// The new name.
    @Defaulted public var name: String

    /// A rename.
    public init(name: String) { self.name = name }
}

/// Names of the headers of a backup that is sent to `POST /1.0/instances`.
public enum BackupHeader {
    /// The container's name, if it is to have another one.
    public static let name = "X-LXD-name"
    /// The storage pool, if it is to be in another one.
    public static let pool = "X-LXD-pool"
    /// "true" to leave running states out.
    public static let stateless = "X-Apus-stateless"
}
