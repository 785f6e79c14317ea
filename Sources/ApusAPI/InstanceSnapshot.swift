/// A snapshot of a container.
public struct InstanceSnapshot: Codable, Sendable, Equatable {
    /// When it expires; zero for never.
    @Defaulted public var expiresAt: Timestamp
    /// The machine's architecture.
    @Defaulted public var architecture: String
    /// The container's own keys at that time.
    @Defaulted public var config: ConfigMap
    /// When it was taken.
    @Defaulted public var createdAt: Timestamp
    /// The container's own devices at that time.
    @Defaulted public var devices: DevicesMap
    /// Whether the container was ephemeral.
    @Defaulted public var ephemeral: Bool
    /// Keys of profiles and container together at that time.
    @Defaulted public var expandedConfig: ConfigMap
    /// Devices of profiles and container together at that time.
    @Defaulted public var expandedDevices: DevicesMap
    /// When the container was last started.
    @Defaulted public var lastUsedAt: Timestamp
    /// The bare name, without the container's.
    @Defaulted public var name: String
    /// The container's profiles at that time.
    @Defaulted public var profiles: [String]
    /// Bytes of its files; below zero if not known.
    @Defaulted public var size: Int64
    /// Whether it has running state.
    @Defaulted public var stateful: Bool
    /// Bytes of its running state.
    @Defaulted public var apusStateSize: Int64

    enum CodingKeys: String, CodingKey {
        case architecture, config, devices, ephemeral, name, profiles, size, stateful
        case expiresAt = "expires_at"
        case createdAt = "created_at"
        case expandedConfig = "expanded_config"
        case expandedDevices = "expanded_devices"
        case lastUsedAt = "last_used_at"
        case apusStateSize = "apus_state_size"
    }

    /// An empty snapshot.
    public init() {}
}

/// What `POST /1.0/instances/<name>/snapshots` takes.
public struct InstanceSnapshotsPost: Codable, Sendable, Equatable {
    /// The name; the daemon picks "snapN" if it is empty.
    @Defaulted public var name: String
    /// Whether to save the running state too.
    @Defaulted public var stateful: Bool
    /// When it expires.
    public var expiresAt: Timestamp?

    enum CodingKeys: String, CodingKey {
        case name, stateful
        case expiresAt = "expires_at"
    }

    /// A snapshot to take.
    public init(name: String, stateful: Bool) {
        self.name = name
        self.stateful = stateful
    }
}

/// What `POST /1.0/instances/<name>/snapshots/<snapshot>` takes: a new name.
public struct InstanceSnapshotPost: Codable, Sendable, Equatable {
    /// The new name.
    @Defaulted public var name: String

    /// A rename.
    public init(name: String) { self.name = name }
}
