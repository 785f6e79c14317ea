/// A place for containers' files.
public struct StoragePool: Codable, Sendable, Equatable {
    /// Keys, such as "source".
    @Defaulted public var config: ConfigMap
    /// Free text.
    @Defaulted public var description: String
    /// Its name.
    @Defaulted public var name: String
    /// "dir".
    @Defaulted public var driver: String
    /// URLs of what lives in it.
    @Defaulted public var usedBy: [String]
    /// "Created".
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
    /// "dir".
    @Defaulted public var driver: String

    /// A pool to make.
    public init(name: String, driver: String) {
        self.name = name
        self.driver = driver
    }
}
