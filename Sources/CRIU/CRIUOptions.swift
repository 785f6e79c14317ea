/// Options that dumps and restores share.
public struct CRIUCommonOptions: Sendable, Hashable {
    /// How CRIU keeps the network quiet while tasks are stopped.
    public enum NetworkLock: Sendable, Hashable {
        /// With rules of `iptables`.
        case iptables
        /// With rules of `nft`.
        case nftables
        /// Not at all: the caller sees to it, or there is no network.
        case skip
    }

    /// What CRIU does about control groups.
    public enum CgroupMode: Sendable, Hashable {
        /// Nothing: the caller records and makes them.
        case ignore
        /// Make missing ones, set their properties, move tasks.
        case soft
    }

    /// Levels of CRIU's log.
    public enum LogLevel: Int32, Sendable, Hashable {
        /// Errors only; the fastest.
        case errors = 1
        /// Errors and warnings.
        case warnings = 2
        /// What is done.
        case info = 3
        /// Everything.
        case debug = 4
    }

    /// The name of the log file, made in the image directory or `workDirectory`.
    public var logFile: String
    /// How much is logged.
    public var logLevel: LogLevel
    /// Where the log and the statistics go; nil: the image directory.
    public var workDirectory: String?
    /// Established TCP connections are dumped and restored.
    public var tcpEstablished: Bool
    /// File locks are dumped and restored.
    public var fileLocks: Bool
    /// Unlinked files that are still open somewhere may be linked back for the time of the checkpoint.
    public var linkRemap: Bool
    /// The session of the tasks was begun outside of them.
    public var shellJob: Bool
    /// The other end of a unix socket may live outside.
    public var externalUnixSockets: Bool
    /// Resources that are the caller's, in CRIU's notation: `mnt[/dev/null]:dev-null`.
    public var external: [String]
    /// File systems dumped though CRIU does not know them: `ramfs`.
    public var enabledFileSystems: [String]
    /// How the network is kept quiet.
    public var networkLock: NetworkLock
    /// The network namespace is made empty; the caller fills it at `setupNamespaces`.
    public var emptyNetworkNamespace: Bool
    /// Who looks after control groups.
    public var cgroups: CgroupMode
    /// The path tasks' control groups are taken relative to (`CgroupMode.soft`).
    public var cgroupRoot: String?
    /// Deleted files up to this size (bytes) are kept within the images.
    public var ghostLimit: UInt32
    /// Seconds until CRIU gives up; nil: CRIU's ten.
    public var timeout: UInt32?
    /// Masters of terminals whose slave belongs to the tasks are handed over by notification.
    public var orphanTerminalMasters: Bool

    /// The options for a container with its own namespaces.
    public init(
        logFile: String = "criu.log", logLevel: LogLevel = .warnings, workDirectory: String? = nil,
        tcpEstablished: Bool = true, fileLocks: Bool = true, linkRemap: Bool = true, shellJob: Bool = false,
        externalUnixSockets: Bool = false, external: [String] = [], enabledFileSystems: [String] = [],
        networkLock: NetworkLock = .nftables, emptyNetworkNamespace: Bool = false,
        cgroups: CgroupMode = .ignore, cgroupRoot: String? = nil, ghostLimit: UInt32 = 1 << 30,
        timeout: UInt32? = nil, orphanTerminalMasters: Bool = false
    ) {
        self.logFile = logFile
        self.logLevel = logLevel
        self.workDirectory = workDirectory
        self.tcpEstablished = tcpEstablished
        self.fileLocks = fileLocks
        self.linkRemap = linkRemap
        self.shellJob = shellJob
        self.externalUnixSockets = externalUnixSockets
        self.external = external
        self.enabledFileSystems = enabledFileSystems
        self.networkLock = networkLock
        self.emptyNetworkNamespace = emptyNetworkNamespace
        self.cgroups = cgroups
        self.cgroupRoot = cgroupRoot
        self.ghostLimit = ghostLimit
        self.timeout = timeout
        self.orphanTerminalMasters = orphanTerminalMasters
    }
}

/// What to dump, and how.
public struct CRIUDumpOptions: Sendable, Hashable {
    /// The first process of the tree.
    public var pid: Int32
    /// Where the images go; must exist, and be searchable by the tasks' users (0755).
    public var imageDirectory: String
    /// The tasks run on after the dump; otherwise they are killed.
    public var leaveRunning: Bool
    /// Paths of watched files are looked up even when the file system could name them.
    public var forceIrmap: Bool
    /// Where the memory pages go.
    public var pages: Pages
    /// Everything that restores take as well.
    public var common: CRIUCommonOptions

    /// Where the memory pages of a dump go.
    public enum Pages: Sendable, Hashable {
        /// Into image files.
        case files
        /// To the page server at the other end of `CRIULaunch.pageSocket`, which makes their image files there.
        case socket
        /// Nowhere: but for some that a restore needs at once, they stay with the tasks. From `postDump` until the
        /// handler returns they can be read with `CRIUPageSource`. Needs a `CRIULaunch.pageSocket` whose other end is
        /// closed: CRIU would serve the pages itself after `postDump`, when it is too late to refuse.
        case lazy
    }

    /// Makes dump options.
    public init(
        pid: Int32, imageDirectory: String, leaveRunning: Bool = false, forceIrmap: Bool = false,
        pages: Pages = .files, common: CRIUCommonOptions = CRIUCommonOptions()
    ) {
        self.pid = pid
        self.imageDirectory = imageDirectory
        self.leaveRunning = leaveRunning
        self.forceIrmap = forceIrmap
        self.pages = pages
        self.common = common
    }
}

/// What to restore, and how.
public struct CRIURestoreOptions: Sendable, Hashable {
    /// Where the images are.
    public var imageDirectory: String
    /// The new root of the tree: a mount point; nil: as it was.
    public var root: String?
    /// The restored first process becomes a child of the caller, not of CRIU.
    public var asSibling: Bool
    /// Descriptors of this process given to the tasks, by CRIU's key for the file.
    public var inheritedDescriptors: [String: Int32]
    /// Pages that are not in the images come later, by a `CRIULazyPages` in the same work directory.
    public var lazyPages: Bool
    /// Everything that dumps take as well.
    public var common: CRIUCommonOptions

    /// Makes restore options.
    public init(
        imageDirectory: String, root: String? = nil, asSibling: Bool = false,
        inheritedDescriptors: [String: Int32] = [:], lazyPages: Bool = false,
        common: CRIUCommonOptions = CRIUCommonOptions()
    ) {
        self.imageDirectory = imageDirectory
        self.root = root
        self.asSibling = asSibling
        self.inheritedDescriptors = inheritedDescriptors
        self.lazyPages = lazyPages
        self.common = common
    }
}
