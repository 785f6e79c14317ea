/// What `backup/index.yaml` says of a backup, in LXD's format.
public struct BackupIndex: Sendable, Equatable {
    /// A container, or one of its snapshots, as it was when the backup was made.
    public struct Instance: Sendable, Equatable {
        /// Its name; of a snapshot the bare one.
        public var name = ""
        /// The machine's architecture, as `uname -m` says it.
        public var architecture = ""
        /// Free text.
        public var description = ""
        /// Its own keys, those of the daemon included.
        public var config: [String: String] = [:]
        /// Its own devices.
        public var devices: [String: [String: String]] = [:]
        /// Keys of the profiles and the container together.
        public var expandedConfig: [String: String] = [:]
        /// Devices of the profiles and the container together.
        public var expandedDevices: [String: [String: String]] = [:]
        /// Whether it is deleted when it stops.
        public var isEphemeral = false
        /// Profiles, in the order they are applied.
        public var profiles: [String] = []
        /// When it was made, in RFC 3339.
        public var createdAt = ""
        /// When it was last started, in RFC 3339.
        public var lastUsedAt = ""
        /// When a snapshot expires, in RFC 3339.
        public var expiresAt = ""

        /// Nothing.
        public init() {}
    }

    /// The container's name.
    public var name: String
    /// The driver of the pool it was in.
    public var backend: String
    /// The pool it was in.
    public var pool: String
    /// "container" for all that can be used here.
    public var type = "container"
    /// Whether its files are in the format of a storage driver.
    public var isOptimized = false
    /// The container.
    public var instance: Instance
    /// Its snapshots, oldest first.
    public var snapshots: [Instance]
    /// Whether the running state of the stopped container is there, too: Apus' own.
    public var hasState = false
    /// The snapshots whose running state is there, too: Apus' own.
    public var snapshotStates: [String] = []

    /// Whether the sum of all that is in the archive stands at its end: Apus' own.
    var isSummed = true

    /// A container's.
    public init(instance: Instance, snapshots: [Instance], pool: String, backend: String) {
        name = instance.name
        self.instance = instance
        self.snapshots = snapshots
        self.pool = pool
        self.backend = backend
    }

    /// The running states that are there.
    public var states: Set<BackupPart> {
        Set(snapshotStates.map { BackupPart.snapshotState($0) } + (hasState ? [.state] : []))
    }

    /// The files that are there.
    var volumes: Set<BackupPart> { Set([.container] + snapshots.map { .snapshot($0.name) }) }
}

/// A part of a backup: a folder in its archive.
public enum BackupPart: Sendable, Hashable {
    /// The container's files.
    case container
    /// A snapshot's files.
    case snapshot(String)
    /// The running state of the stopped container.
    case state
    /// The running state of a snapshot.
    case snapshotState(String)

    /// Its folder.
    public var folder: String {
        switch self {
        case .container: "backup/container"
        case .snapshot(let name): "backup/snapshots/\(name)"
        case .state: "backup/apus/state"
        case .snapshotState(let name): "backup/apus/snapshots/\(name)"
        }
    }

    /// Whether it is of files, and not a running state.
    var isVolume: Bool {
        switch self {
        case .container, .snapshot: true
        case .state, .snapshotState: false
        }
    }

    /// Finds the part that an entry of the archive belongs to, and its path within. Nil for what belongs to none.
    static func locate(_ path: EntryPath) -> (part: BackupPart, path: EntryPath)? {
        let names = path.components
        guard names.first == "backup", names.count >= 2 else { return nil }
        switch (names[1], names.count) {
        case ("container", _): return (.container, path.dropping(2))
        case ("snapshots", 3...): return (.snapshot(names[2]), path.dropping(3))
        case ("apus", 3...) where names[2] == "state": return (.state, path.dropping(3))
        case ("apus", 4...) where names[2] == "snapshots": return (.snapshotState(names[3]), path.dropping(4))
        default: return nil
        }
    }
}
