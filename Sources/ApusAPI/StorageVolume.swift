/// A volume of a storage pool.
public struct StorageVolume: Codable, Sendable, Equatable {
    /// Keys, such as "size".
    @Defaulted public var config: ConfigMap
    /// Free text.
    @Defaulted public var description: String
    /// Its name; a snapshot's is "container/snapshot".
    @Defaulted public var name: String
    /// "custom", "container" or "image".
    @Defaulted public var type: String
    /// URLs of what uses it.
    @Defaulted public var usedBy: [String]
    /// Always "none": there are no clusters.
    @Defaulted public var location: String
    /// Always "filesystem".
    @Defaulted public var contentType: String
    /// Always "default".
    @Defaulted public var project: String
    /// When it was made.
    @Defaulted public var createdAt: Timestamp

    enum CodingKeys: String, CodingKey {
        case config, description, name, type, location, project
        case usedBy = "used_by"
        case contentType = "content_type"
        case createdAt = "created_at"
    }

    /// A volume of a kind.
    public init(name: String = "", type: String = "custom") {
        self.name = name
        self.type = type
        location = "none"
        contentType = "filesystem"
        project = "default"
    }
}

/// What `POST /1.0/storage-pools/{pool}/volumes` takes.
public struct StorageVolumesPost: Codable, Sendable, Equatable {
    /// Keys.
    @Defaulted public var config: ConfigMap
    /// Free text.
    @Defaulted public var description: String
    /// Its name.
    @Defaulted public var name: String
    /// "custom"; empty where the URL tells.
    @Defaulted public var type: String
    /// "filesystem", or empty.
    @Defaulted public var contentType: String
    /// Where its content comes from; not supported.
    public var source: StorageVolumeSource?

    enum CodingKeys: String, CodingKey {
        case config, description, name, type, source
        case contentType = "content_type"
    }

    /// A volume to make.
    public init(name: String, config: ConfigMap = [:]) {
        self.name = name
        self.config = config
        type = "custom"
        contentType = "filesystem"
    }
}

/// Where a volume's content comes from.
public struct StorageVolumeSource: Codable, Sendable, Equatable {
    /// "copy", "migration", or empty.
    @Defaulted public var type: String

    /// Nowhere.
    public init() {}
}

/// What `POST` on a volume takes: its new name.
public struct StorageVolumePost: Codable, Sendable, Equatable {
    /// The new name.
    @Defaulted public var name: String
    /// The pool it stays in, or empty.
    @Defaulted public var pool: String

    /// A new name.
    public init(name: String) { self.name = name }
}
