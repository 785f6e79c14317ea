public import LinuxSystem

/// Everything `apus-runtime` needs to know to start or restore one generation of a container.
///
/// A *generation* is one life of the container, from a start or restore to its end. Each has its own runtime
/// directory, cgroup and id-mapped mount, so that an old and a new one can exist side by side for a moment.
public struct ContainerSpec: Sendable, Hashable, Codable {
    /// The container's name.
    public var name: String
    /// Counts the starts and restores of the container, upwards.
    public var generation: Int
    /// Eight hexadecimal digits that keep daemons on one machine apart.
    public var daemonID: String
    /// `$APUS_DIR/runtime/<name>/<generation>`; belongs to this generation alone.
    public var runtimeDirectory: String
    /// The root file system as it lies in the pool, with ids as the container sees them (root is 0).
    public var rootfs: String
    /// The host name inside.
    public var hostname: String
    /// User and group ids; nil for a privileged container, whose root is the host's root.
    public var idmap: IDMap?
    /// Lifts the restrictions that keep a container checkpointable: it may make namespaces of its own.
    public var nesting: Bool = false
    /// Limits on CPU, memory, processes and disk.
    public var limits = ResourceLimits()
    /// Limits on what each process may use; those of the daemon hold for the rest.
    public var kernelLimits: [KernelLimit] = []
    /// System calls that are refused.
    public var seccomp = SeccompPolicy()
    /// Its network interfaces besides `lo`.
    public var interfaces: [NetworkInterface] = []
    /// Environment of init and of every program executed inside.
    public var environment: [String: String] = [:]
    /// Directories and files of the host that the container shows.
    public var disks: [DiskMount] = []
    /// Init and its arguments.
    public var initCommand: [String] = ["/sbin/init"]
    /// Whether init gets a console (`/dev/console`); else its input and output are /dev/null.
    public var console: Bool = true
    /// Where the console's output is kept (up to 1 MiB, and as much before that in `<path>.old`); nil for
    /// nowhere.
    public var consoleLog: String?
    /// Where `apus-runtime` writes what it has to say; nil for `runtimeDirectory/runtime.log`.
    public var runtimeLog: String?

    /// A container with the usual settings; set what differs.
    public init(
        name: String, generation: Int, daemonID: String, runtimeDirectory: String, rootfs: String,
        idmap: IDMap?
    ) {
        self.name = name
        self.generation = generation
        self.daemonID = daemonID
        self.runtimeDirectory = runtimeDirectory
        self.rootfs = rootfs
        self.idmap = idmap
        hostname = name
    }

    /// Whether the container's root is the host's root.
    public var isPrivileged: Bool { idmap == nil }

    /// The cgroup that carries the limits, below the root of every hierarchy:
    /// `apus-<daemon>/<name>.<generation>`.
    public var cgroup: String { "apus-\(daemonID)/\(name).\(generation)" }
    /// The cgroup that the container sees as the root.
    public var innerCgroup: String { cgroup + "/c" }
    /// Where the root file system is shown with mapped ids while this generation lives.
    public var rootMount: String { runtimeDirectory + "/root" }
    /// The socket of the runtime.
    public var controlSocket: String { runtimeDirectory + "/control.sock" }
    /// This specification, as the launcher writes it.
    public var specFile: String { runtimeDirectory + "/spec.json" }
    /// What the runtime last wrote about itself; see `RuntimeStatus`.
    public var statusFile: String { runtimeDirectory + "/status.json" }
    /// What the runtime has to say.
    public var logFile: String { runtimeLog ?? runtimeDirectory + "/runtime.log" }
}

/// Limits of a container. Nil is "no limit".
public struct ResourceLimits: Sendable, Hashable, Codable {
    /// The CPUs it may use, such as `0-3,8`.
    public var cpus: String?
    /// CPU time in each period, in microseconds: `quota` of every `period`.
    public var cpuQuota: CPUQuota?
    /// Its share when CPUs are contended, in percent of an ordinary container (1 … 1000); 100 if nil.
    public var cpuShare: Int?
    /// Memory in bytes.
    public var memory: Int64?
    /// Whether more memory may be used while the machine has enough.
    public var memoryIsSoft = false
    /// How unwillingly memory is swapped out, 0 … 10; 0 if nil.
    public var swapPriority: Int?
    /// Whether memory may be swapped; `false` keeps it all in memory.
    public var swap: Bool = true
    /// Tasks, threads included.
    public var processes: Int?
    /// Priority of disk access, 0 (least) … 10; 5 if nil.
    public var diskPriority: Int?

    /// No limits.
    public init() {}

    /// CPU time in each period.
    public struct CPUQuota: Sendable, Hashable, Codable {
        /// Microseconds of CPU time.
        public var quota: Int
        /// Microseconds.
        public var period: Int

        /// `quota` of every `period` microseconds.
        public init(quota: Int, period: Int) {
            self.quota = quota
            self.period = period
        }
    }
}

/// Which system calls a container may not make.
public struct SeccompPolicy: Sendable, Hashable, Codable {
    /// Refuse what LXD refuses: loading kernel modules, kexec, swapping, opening by handle and the like.
    public var usesDefaultDenyList = true
    /// More calls to refuse, by name.
    public var denied: [String] = []
    /// Calls that the two lists refuse and this container may make all the same.
    public var allowed: [String] = []

    /// The defaults.
    public init() {}
}
