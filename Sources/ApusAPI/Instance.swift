/// Config keys and their values, as LXD carries them: always text.
public typealias ConfigMap = [String: String]

extension ConfigMap {
    /// Of a container's keys, those with the hardware addresses of its interfaces: `volatile.<device>.hwaddr`.
    public var hardwareAddresses: ConfigMap {
        filter { $0.key.hasPrefix("volatile.") && $0.key.hasSuffix(".hwaddr") }
    }
}
/// Devices by name, each with its keys.
public typealias DevicesMap = [String: [String: String]]

/// A container, as `GET /1.0/instances/<name>` shows it.
public struct Instance: Codable, Sendable, Equatable {
    /// The machine's architecture, as `uname -m` says it.
    @Defaulted public var architecture: String
    /// The container's own keys.
    @Defaulted public var config: ConfigMap
    /// The container's own devices.
    @Defaulted public var devices: DevicesMap
    /// Whether it is deleted when it stops.
    @Defaulted public var ephemeral: Bool
    /// Profiles, in the order they are applied.
    @Defaulted public var profiles: [String]
    /// Whether it is stopped with its running state kept.
    @Defaulted public var stateful: Bool
    /// Free text.
    @Defaulted public var description: String
    /// When it was created.
    @Defaulted public var createdAt: Timestamp
    /// Keys of the profiles and the container together.
    @Defaulted public var expandedConfig: ConfigMap
    /// Devices of the profiles and the container together.
    @Defaulted public var expandedDevices: DevicesMap
    /// Its name.
    @Defaulted public var name: String
    /// The word for `statusCode`.
    @Defaulted public var status: String
    /// Running, stopped, frozen or in error.
    @Defaulted public var statusCode: Int
    /// When it was last started.
    @Defaulted public var lastUsedAt: Timestamp
    /// Always "none": there are no clusters.
    @Defaulted public var location: String
    /// Always "container".
    @Defaulted public var type: String
    /// Always "default".
    @Defaulted public var project: String
    /// Bytes of the saved running state of a stopped container, where there is one.
    public var apusStateSize: Int64?
    /// When the saved running state of a stopped container was taken.
    public var apusStateTakenAt: Timestamp?
    /// The present state; only with recursion 2 (or 1 on a single container).
    public var state: InstanceState?
    /// The snapshots; only with recursion 2 (or 1 on a single container).
    public var snapshots: [InstanceSnapshot]?
    /// The backups; only with recursion 2 (or 1 on a single container).
    public var backups: [InstanceBackup]?

    enum CodingKeys: String, CodingKey {
        case architecture, config, devices, ephemeral, profiles, stateful, description, name, status
        case location, type, project, state, snapshots, backups
        case createdAt = "created_at"
        case expandedConfig = "expanded_config"
        case expandedDevices = "expanded_devices"
        case statusCode = "status_code"
        case lastUsedAt = "last_used_at"
        case apusStateSize = "apus_state_size"
        case apusStateTakenAt = "apus_state_taken_at"
    }

    /// An empty container.
    public init() {
        location = "none"
        type = "container"
        project = "default"
    }
}

/// What `PUT /1.0/instances/<name>` takes: everything that can be edited, or a snapshot to restore.
public struct InstancePut: Codable, Sendable, Equatable {
    /// The machine's architecture.
    @Defaulted public var architecture: String
    /// The container's own keys.
    @Defaulted public var config: ConfigMap
    /// The container's own devices.
    @Defaulted public var devices: DevicesMap
    /// Whether it is deleted when it stops.
    @Defaulted public var ephemeral: Bool
    /// Profiles, in the order they are applied.
    @Defaulted public var profiles: [String]
    /// A snapshot to go back to; then nothing else is looked at but `stateful`.
    @Defaulted public var restore: String
    /// Whether the snapshot's running state is restored too.
    @Defaulted public var stateful: Bool
    /// Free text.
    @Defaulted public var description: String

    /// Nothing set.
    public init() {}

    /// The editable part of a container.
    public init(_ instance: Instance) {
        architecture = instance.architecture
        config = instance.config
        devices = instance.devices
        ephemeral = instance.ephemeral
        profiles = instance.profiles
        description = instance.description
    }
}

/// What `PATCH /1.0/instances/<name>` takes: keys and devices are merged into what is there.
public struct InstancePatch: Codable, Sendable, Equatable {
    /// Keys to set; an empty value unsets.
    public var config: ConfigMap?
    /// Devices to add or replace.
    public var devices: DevicesMap?
    /// Whether it is deleted when it stops.
    public var ephemeral: Bool?
    /// Profiles, in the order they are applied.
    public var profiles: [String]?
    /// Free text.
    public var description: String?

    /// Nothing set.
    public init() {}
}

/// What `POST /1.0/instances` takes.
public struct InstancesPost: Codable, Sendable, Equatable {
    /// The name; the daemon picks one if it is empty.
    @Defaulted public var name: String
    /// The machine's architecture; empty for the host's.
    @Defaulted public var architecture: String
    /// The container's own keys.
    @Defaulted public var config: ConfigMap
    /// The container's own devices.
    @Defaulted public var devices: DevicesMap
    /// Whether it is deleted when it stops.
    @Defaulted public var ephemeral: Bool
    /// Profiles; null means the default profile, an empty list none.
    public var profiles: [String]?
    /// Free text.
    @Defaulted public var description: String
    /// Where its files come from.
    public var source: InstanceSource
    /// Ignored: LXD's names for sizes of virtual machines.
    @Defaulted public var instanceType: String
    /// "container" or empty.
    @Defaulted public var type: String

    enum CodingKeys: String, CodingKey {
        case name, architecture, config, devices, ephemeral, profiles, description, source, type
        case instanceType = "instance_type"
    }

    /// A container from a source.
    public init(name: String, source: InstanceSource) {
        self.name = name
        self.source = source
        type = "container"
    }

    /// Reads the body; a missing source is an empty one, refused later with a clear text.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        _name = try container.decode(Defaulted<String>.self, forKey: .name)
        _architecture = try container.decode(Defaulted<String>.self, forKey: .architecture)
        _config = try container.decode(Defaulted<ConfigMap>.self, forKey: .config)
        _devices = try container.decode(Defaulted<DevicesMap>.self, forKey: .devices)
        _ephemeral = try container.decode(Defaulted<Bool>.self, forKey: .ephemeral)
        profiles = try container.decodeIfPresent([String].self, forKey: .profiles)
        _description = try container.decode(Defaulted<String>.self, forKey: .description)
        source = try container.decodeIfPresent(InstanceSource.self, forKey: .source) ?? InstanceSource()
        _instanceType = try container.decode(Defaulted<String>.self, forKey: .instanceType)
        _type = try container.decode(Defaulted<String>.self, forKey: .type)
    }
}

/// Where a new container's files come from.
public struct InstanceSource: Codable, Sendable, Equatable {
    /// "image", "none", "copy" or "migration".
    @Defaulted public var type: String
    /// The image's alias ("12" with protocol "debian").
    @Defaulted public var alias: String
    /// The image's fingerprint, or an unambiguous beginning of it.
    @Defaulted public var fingerprint: String
    /// Who has the image, if not this daemon.
    @Defaulted public var server: String
    /// How to get it from there: empty for this daemon's own store, "simplestreams" from an image server, "lxd" from
    /// another daemon, "debian" to build it here.
    @Defaulted public var `protocol`: String
    /// Certificates in PEM that an image server is trusted by, beside those of the system; of a daemon the one that it has
    /// to show.
    @Defaulted public var certificate: String
    /// With protocol "lxd": what opens an image there that is not public.
    public var secret: String?
    /// "pull" or empty; with type "migration" "push" makes the daemon wait for the source to connect.
    @Defaulted public var mode: String
    /// The container or "container/snapshot" to copy, with type "copy".
    @Defaulted public var source: String
    /// With type "copy": leave the snapshots out. LXD's name for it since 4.0 is `instance_only`.
    @Defaulted public var containerOnly: Bool
    /// The newer name of `containerOnly`.
    @Defaulted public var instanceOnly: Bool
    /// With type "migration" and mode "pull": the URL of the source's operation.
    @Defaulted public var operation: String
    /// With type "migration" and mode "pull": the secrets of its websockets, by their names.
    @Defaulted public var secrets: [String: String]
    /// With type "migration": whether the processes come, too.
    @Defaulted public var live: Bool
    /// With type "migration": the fingerprint of the image that the container was made from.
    @Defaulted public var baseImage: String
    /// With type "copy" or "migration": the container may be there, and is brought up to date.
    @Defaulted public var refresh: Bool

    enum CodingKeys: String, CodingKey {
        case type, alias, fingerprint, server, mode, source, certificate, secret, operation, secrets, live
        case refresh
        case `protocol` = "protocol"
        case containerOnly = "container_only"
        case instanceOnly = "instance_only"
        case baseImage = "base-image"
    }

    /// Nothing set.
    public init() {}

    /// An image of this daemon's store, by alias.
    public static func localAlias(_ alias: String) -> InstanceSource {
        var source = InstanceSource()
        source.type = "image"
        source.alias = alias
        return source
    }

    /// An image of this daemon's store, by fingerprint.
    public static func localImage(_ fingerprint: String) -> InstanceSource {
        var source = InstanceSource()
        source.type = "image"
        source.fingerprint = fingerprint
        return source
    }

    /// A container of this daemon, or one of its snapshots as "container/snapshot".
    public static func copy(of source: String, containerOnly: Bool = false) -> InstanceSource {
        var copy = InstanceSource()
        copy.type = "copy"
        copy.source = source
        copy.containerOnly = containerOnly
        copy.instanceOnly = containerOnly
        return copy
    }

    /// A container of another daemon, which connects to this one.
    public static func migrationPush(live: Bool) -> InstanceSource {
        var source = InstanceSource()
        source.type = "migration"
        source.mode = "push"
        source.live = live
        return source
    }

    /// Has this daemon connect to the source's operation instead.
    public mutating func pull(from operation: String, certificate: String, secrets: [String: String]) {
        mode = "pull"
        self.operation = operation
        self.certificate = certificate
        self.secrets = secrets
    }

    /// A Debian release, built by the daemon from the machine's own package mirror and then kept.
    public static func debian(_ release: String) -> InstanceSource {
        var source = InstanceSource()
        source.type = "image"
        source.mode = "pull"
        source.protocol = "debian"
        source.server = "debian"
        source.alias = release
        return source
    }
}

/// What `POST /1.0/instances/<name>` takes: a new name, or where to move to.
public struct InstancePost: Codable, Sendable, Equatable {
    /// The new name.
    @Defaulted public var name: String
    /// Whether this is the source's end of a migration.
    @Defaulted public var migration: Bool
    /// The storage pool to move to, on the same machine; empty to stay.
    @Defaulted public var pool: String
    /// With `migration`: whether the processes of a running container move, too.
    @Defaulted public var live: Bool
    /// With `migration`: leave the snapshots out. LXD's name for it since 4.0 is `instance_only`.
    @Defaulted public var containerOnly: Bool
    /// The newer name of `containerOnly`.
    @Defaulted public var instanceOnly: Bool
    /// With `migration`: the sink's operation that this daemon connects to; null: the sink connects here.
    public var target: InstancePostTarget?
    /// With `migration`: how the memory of a running container moves: "auto", "stop-copy" or "post-copy".
    @Defaulted public var apusMemory: String
    /// With `migration`: delete the container here once the other host has it.
    @Defaulted public var apusMove: Bool

    enum CodingKeys: String, CodingKey {
        case name, migration, pool, live, target
        case containerOnly = "container_only"
        case instanceOnly = "instance_only"
        case apusMemory = "apus_memory"
        case apusMove = "apus_move"
    }

    /// A rename.
    public init(name: String) { self.name = name }

    /// A move to another storage pool.
    public init(pool: String) { self.pool = pool }
}

/// The sink's end of a migration that the source connects to.
public struct InstancePostTarget: Codable, Sendable, Equatable {
    /// The sink's certificate, PEM.
    @Defaulted public var certificate: String
    /// The URL of the sink's operation.
    @Defaulted public var operation: String
    /// The secrets of its websockets, by their names.
    @Defaulted public var secrets: [String: String]

    /// The sink's operation.
    public init(operation: String, certificate: String, secrets: [String: String]) {
        self.operation = operation
        self.certificate = certificate
        self.secrets = secrets
    }
}
