/// A place for containers' files.
public struct StoragePool: Codable, Sendable, Equatable {
    /// Keys, such as "source".
    @Defaulted public var config: ConfigMap
    /// Free text.
    @Defaulted public var description: String
    /// Its name.
    @Defaulted public var name: String
    /// "dir" or "btrfs".
    @Defaulted public var driver: String
    /// URLs of what lives in it.
    @Defaulted public var usedBy: [String]
    /// "Created", or "Unavailable" while its source is away.
    @Defaulted public var status: String
    /// Always ["none"]: there are no clusters.
    @Defaulted public var locations: [String]

    enum CodingKeys: String, CodingKey {
        case config, description, name, driver, status, locations
        case usedBy = "used_by"
    }

    /// An empty pool.
    public init(name: String = "", driver: String = "") {
        self.name = name
        self.driver = driver
        status = "Created"
        locations = ["none"]
    }
}

/// What `POST /1.0/storage-pools` takes.
public struct StoragePoolsPost: Codable, Sendable, Equatable {
    /// Keys.
    @Defaulted public var config: ConfigMap
    /// Free text.
    @Defaulted public var description: String
    /// Its name.
    @Defaulted public var name: String
    /// "dir" or "btrfs".
    @Defaulted public var driver: String

    /// A pool to make.
    public init(name: String, driver: String) {
        self.name = name
        self.driver = driver
    }
}

/// What people edit of a storage pool, or of a volume.
public struct StoragePut: Codable, Sendable, Equatable {
    /// Keys.
    @Defaulted public var config: ConfigMap
    /// Free text.
    @Defaulted public var description: String

    /// A configuration.
    public init(config: ConfigMap = [:], description: String = "") {
        self.config = config
        self.description = description
    }
}

/// What `PATCH` takes for a storage pool or a volume: what is given is changed, an empty value unsets a key.
public struct StoragePatch: Codable, Sendable, Equatable {
    /// Keys.
    public var config: ConfigMap?
    /// Free text.
    public var description: String?

    /// A change.
    public init(config: ConfigMap? = nil, description: String? = nil) {
        self.config = config
        self.description = description
    }
}

/// The room in a storage pool.
public struct StoragePoolResources: Codable, Sendable, Equatable {
    /// Used, and in all.
    public struct Amount: Codable, Sendable, Equatable {
        /// How much is in use.
        @Defaulted public var used: Int64
        /// How much there is; 0: it is not limited.
        @Defaulted public var total: Int64

        /// Some of all.
        public init(used: Int64, total: Int64) {
            self.used = used
            self.total = total
        }
    }

    /// Bytes.
    public var space: Amount
    /// Files.
    public var inodes: Amount

    /// The room in a pool.
    public init(space: Amount, inodes: Amount) {
        self.space = space
        self.inodes = inodes
    }
}
