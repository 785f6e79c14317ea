public import ApusAPI

/// A container, as the database keeps it.
public struct ContainerRecord: Sendable, Equatable {
    /// Its row.
    public var id: Int64 = 0
    /// Its name.
    public var name = ""
    /// Its identity across renames.
    public var uuid = ""
    /// The machine's architecture.
    public var architecture = ""
    /// Free text.
    public var description = ""
    /// Whether it is deleted when it stops.
    public var ephemeral = false
    /// When it was created.
    public var createdAt = Timestamp.zero
    /// When it was last started.
    public var lastUsedAt = Timestamp.zero
    /// Its pool.
    public var pool = ""
    /// Fingerprint of the image it was made from.
    public var baseImage = ""
    /// Its own keys, without those of the daemon.
    public var config: ConfigMap = [:]
    /// Its own devices.
    public var devices: DevicesMap = [:]
    /// Its profiles, in the order they are applied.
    public var profiles: [String] = []
    /// First host id and number of ids of its user namespace; nil before the first unprivileged start.
    public var idmap: Range<Int64>?
    /// The generation that runs, or nil when it is stopped.
    public var generation: Int64?
    /// Whether users froze it.
    public var frozen = false
    /// Whether it is stopped with its running state kept.
    public var stateful = false
    /// When that state was taken.
    public var stateTakenAt = Timestamp.zero
    /// Bytes of that state.
    public var stateSize: Int64 = 0
    /// Whether it should run: what `volatile.last_state.power` says, also across a boot.
    public var shouldRun = false
    /// What the daemon keeps of its devices, such as `volatile.eth0.hwaddr`.
    public var volatile: ConfigMap = [:]

    /// An empty record.
    public init() {}
}

/// A snapshot, as the database keeps it.
public struct SnapshotRecord: Sendable, Equatable {
    /// Its row.
    public var id: Int64 = 0
    /// The container's row.
    public var containerID: Int64 = 0
    /// Its bare name.
    public var name = ""
    /// When it was taken.
    public var createdAt = Timestamp.zero
    /// When it expires.
    public var expiresAt = Timestamp.zero
    /// Whether it has running state.
    public var stateful = false
    /// Bytes of its files.
    public var size: Int64 = -1
    /// Bytes of its running state.
    public var stateSize: Int64 = 0
    /// What the container was then.
    public var architecture = ""
    /// Whether it was ephemeral.
    public var ephemeral = false
    /// Its own keys.
    public var config: ConfigMap = [:]
    /// Its own devices.
    public var devices: DevicesMap = [:]
    /// Its profiles.
    public var profiles: [String] = []
    /// Keys of profiles and container together.
    public var expandedConfig: ConfigMap = [:]
    /// Devices of profiles and container together.
    public var expandedDevices: DevicesMap = [:]
    /// When the container was last started.
    public var lastUsedAt = Timestamp.zero

    /// An empty record.
    public init() {}
}

/// An image, as the database keeps it.
public struct ImageRecord: Sendable, Equatable {
    /// SHA-256 of its file.
    public var fingerprint = ""
    /// Bytes of its file.
    public var size: Int64 = 0
    /// The name of its file.
    public var filename = ""
    /// The machine's architecture.
    public var architecture = ""
    /// Whether untrusted clients may have it.
    public var isPublic = false
    /// Whether it is kept up to date by itself.
    public var autoUpdate = false
    /// Whether it was made for a container rather than imported by hand.
    public var cached = false
    /// When it was made.
    public var createdAt = Timestamp.zero
    /// When it came into the store.
    public var uploadedAt = Timestamp.zero
    /// When a container was last made from it.
    public var lastUsedAt = Timestamp.zero
    /// What it says of itself.
    public var properties: [String: String] = [:]
    /// Where it came from.
    public var source: ImageSource?

    /// An empty record.
    public init() {}
}

/// An operation under way, kept so that a daemon that was killed knows what it was doing.
public struct JournalEntry: Sendable, Equatable {
    /// Its row.
    public var id: Int64 = 0
    /// The container.
    public var container: String
    /// What was being done, such as "snapshotting".
    public var action: String
    /// What it was done to or with, such as the snapshot's name.
    public var detail: String
    /// When it began.
    public var startedAt: Timestamp

    /// An entry for an operation that begins now.
    public init(container: String, action: String, detail: String = "") {
        self.container = container
        self.action = action
        self.detail = detail
        startedAt = .now()
    }
}
