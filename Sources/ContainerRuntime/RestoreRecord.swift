public import CRIU
public import LinuxSystem

/// What a checkpoint remembers beside CRIU's images: `checkpoint.json`, written at the dump, read at the
/// restore. CRIU would lose it, or leaves it to its caller.
public struct CheckpointRecord: Sendable, Hashable, Codable {
    /// The newest form of the record this program writes and reads.
    public static let currentFormat = 1

    /// The form of this record.
    public var format: Int
    /// The container's name when it was dumped.
    public var container: String
    /// When the tasks stood still, in seconds since 1970.
    public var takenAt: Double
    /// What the checkpoint needs of the machine that restores it.
    public var compatibility: CheckpointCompatibility
    /// Every control group below the container's root, parents first; the root is the empty path.
    public var cgroups: [CheckpointCgroup]
    /// What each process was and had.
    public var tasks: [CheckpointTask]
    /// Mounts that are not the container's own: what CRIU calls them, and what is put there.
    public var externalMounts: [CheckpointExternalMount]
    /// The sessions that terminals control.
    public var terminals: [CRIUTerminals.Session]
    /// The network namespace held only `lo` and interfaces of ours: it is made anew rather than restored.
    public var emptyNetwork: Bool
    /// Whether `lo` was up.
    public var loopbackUp: Bool
    /// The interfaces, addresses and routes, if the namespace is made anew.
    public var network: CheckpointNetwork?
    /// Settings below `/proc/sys/net` that differ from those of a new namespace, `net/core/somaxconn` alike.
    public var networkSettings: [String: String]
    /// The container's user and group ids; nil: the host's. Restoring needs the same.
    public var idmap: IDMap?
    /// Watched files of the root file system that CRIU knows by their handles alone.
    public var watches: [CheckpointWatch]?
    /// How long the tasks stood still, in microseconds, for those who want to know.
    public var frozenMicroseconds: UInt32
    /// The bytes of the images.
    public var size: Int64

    /// Makes a record.
    public init(
        container: String, takenAt: Double, compatibility: CheckpointCompatibility,
        cgroups: [CheckpointCgroup], tasks: [CheckpointTask], externalMounts: [CheckpointExternalMount],
        terminals: [CRIUTerminals.Session] = [], emptyNetwork: Bool, loopbackUp: Bool,
        network: CheckpointNetwork? = nil, networkSettings: [String: String],
        idmap: IDMap?, watches: [CheckpointWatch]? = nil, frozenMicroseconds: UInt32 = 0,
        size: Int64 = 0
    ) {
        self.format = Self.currentFormat
        self.container = container
        self.takenAt = takenAt
        self.compatibility = compatibility
        self.cgroups = cgroups
        self.tasks = tasks
        self.externalMounts = externalMounts
        self.terminals = terminals
        self.emptyNetwork = emptyNetwork
        self.loopbackUp = loopbackUp
        self.network = network
        self.networkSettings = networkSettings
        self.idmap = idmap
        self.watches = watches
        self.frozenMicroseconds = frozenMicroseconds
        self.size = size
    }
}

/// What a machine must have in common with the one a checkpoint was made on.
public struct CheckpointCompatibility: Sendable, Hashable, Codable {
    /// The version of CRIU that wrote the images.
    public var criu: String
    /// The kernel's release.
    public var kernel: String
    /// The processor's architecture.
    public var architecture: String
    /// The processor's features that programs may have chosen code by.
    public var cpuFeatures: [String]
    /// `v2`, `hybrid` or `v1`.
    public var cgroupLayout: String
    /// The version of Apus.
    public var apus: String

    /// Makes a compatibility record.
    public init(
        criu: String, kernel: String, architecture: String, cpuFeatures: [String], cgroupLayout: String,
        apus: String
    ) {
        self.criu = criu
        self.kernel = kernel
        self.architecture = architecture
        self.cpuFeatures = cpuFeatures
        self.cgroupLayout = cgroupLayout
        self.apus = apus
    }
}

/// A control group of the container, and what was set in it from inside.
public struct CheckpointCgroup: Sendable, Hashable, Codable {
    /// Below the container's root; empty for the root itself.
    public var path: String
    /// The owner, as the host sees it.
    public var uid: UInt32
    /// The owning group, as the host sees it.
    public var gid: UInt32
    /// The permission bits of the directory.
    public var mode: UInt32
    /// Files that were set (`memory.max`, `cgroup.subtree_control`).
    public var settings: [String: String]

    /// Makes a record of a control group.
    public init(path: String, uid: UInt32, gid: UInt32, mode: UInt32, settings: [String: String]) {
        self.path = path
        self.uid = uid
        self.gid = gid
        self.mode = mode
        self.settings = settings
    }
}

/// A process of the container, by its number inside.
public struct CheckpointTask: Sendable, Hashable, Codable {
    /// Its number within the container.
    public var pid: Int32
    /// Its name.
    public var name: String
    /// Its control group below the container's root.
    public var cgroup: String
    /// What CRIU loses of its threads, by the thread's number inside; threads with nothing to replay left out.
    public var threads: [CheckpointThread]
    /// `/proc/<pid>/coredump_filter` when it is not the usual.
    public var coredumpFilter: String?
    /// The multicast groups its sockets are members of; a socket that several have is named once.
    public var memberships: [CheckpointMembership]

    /// Makes a record of a process.
    public init(
        pid: Int32, name: String, cgroup: String, threads: [CheckpointThread] = [],
        coredumpFilter: String? = nil, memberships: [CheckpointMembership] = []
    ) {
        self.pid = pid
        self.name = name
        self.cgroup = cgroup
        self.threads = threads
        self.coredumpFilter = coredumpFilter
        self.memberships = memberships
    }
}

/// A multicast group that a socket is a member of.
public struct CheckpointMembership: Sendable, Hashable, Codable {
    /// The socket, by its number in the process.
    public var descriptor: Int32
    /// The group.
    public var membership: MulticastMembership

    /// Makes a record of a membership.
    public init(descriptor: Int32, membership: MulticastMembership) {
        self.descriptor = descriptor
        self.membership = membership
    }
}

/// What CRIU loses of a thread.
public struct CheckpointThread: Sendable, Hashable, Codable {
    /// Its number within the container.
    public var tid: Int32
    /// The processors it may run on, as in `0-3,8`; nil: all.
    public var affinity: String?
    /// Its timer slack in nanoseconds; nil: the usual.
    public var timerSlack: UInt64?
    /// Its I/O priority as ioprio_set(2) has it; nil: none was set.
    public var ioPriority: Int32?

    /// Makes a record of a thread.
    public init(
        tid: Int32, affinity: String? = nil, timerSlack: UInt64? = nil, ioPriority: Int32? = nil
    ) {
        self.tid = tid
        self.affinity = affinity
        self.timerSlack = timerSlack
        self.ioPriority = ioPriority
    }
}

/// A mount that comes from outside.
public struct CheckpointExternalMount: Sendable, Hashable, Codable {
    /// Where its content comes from at the restore.
    public enum Source: Sendable, Hashable, Codable {
        /// A path of the host, such as `/dev/null`.
        case host(path: String)
        /// The container's own part of the control group tree.
        case cgroup
        /// The disk that the device of this name shows.
        case disk(name: String)
    }

    /// Where it is within the container.
    public var mountPoint: String
    /// The name it has in the images.
    public var key: String
    /// What is put there.
    public var source: Source

    /// Makes a record of an external mount.
    public init(mountPoint: String, key: String, source: Source) {
        self.mountPoint = mountPoint
        self.key = key
        self.source = source
    }
}

/// A watched file that the images name by inode and handle.
public struct CheckpointWatch: Sendable, Hashable, Codable {
    /// The inode in the volume that was dumped.
    public var inode: UInt64
    /// Its path within the container. What is there is the file itself, be it a symlink.
    public var path: String

    /// A watched file.
    public init(inode: UInt64, path: String) {
        self.inode = inode
        self.path = path
    }
}
