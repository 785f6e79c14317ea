public import ContainerRuntime

/// A running container, as far as a checkpoint has to know it.
public struct CheckpointSubject: Sendable, Hashable {
    /// The container's name, for messages.
    public var name: String
    /// Its first process, in this process's process namespace.
    public var initPID: Int32
    /// The control group that is the root of its cgroup namespace, below each hierarchy's mount point:
    /// `apus-1a2b3c4d/c1.7/c`.
    public var cgroup: String
    /// Its users are the host's (`security.privileged`).
    public var isPrivileged: Bool
    /// It may nest namespaces (`security.nesting`), which CRIU cannot dump.
    public var allowsNesting: Bool

    /// Disks that it shows: they are mounts from outside.
    public var disks: [Disk]

    /// A disk of a running container.
    public struct Disk: Sendable, Hashable {
        /// The device's name.
        public var name: String
        /// Where it is inside.
        public var path: String
        /// Where it is shown on the host.
        public var hostPath: String

        /// A disk.
        public init(name: String, path: String, hostPath: String) {
            self.name = name
            self.path = path
            self.hostPath = hostPath
        }
    }
    /// Its network interfaces besides `lo`.
    public var interfaces: [NetworkInterface]

    /// The control groups it is frozen by: not its own root, but the one above that carries the limits.
    func outerCgroup() throws -> ContainerCgroup {
        ContainerCgroup(
            layout: try .current(), name: cgroup.split(separator: "/").dropLast().joined(separator: "/"))
    }

    /// Describes a running container.
    public init(
        name: String, initPID: Int32, cgroup: String, isPrivileged: Bool = false, allowsNesting: Bool = false,
        disks: [Disk] = [], interfaces: [NetworkInterface] = []
    ) {
        self.interfaces = interfaces
        self.name = name
        self.initPID = initPID
        self.cgroup = cgroup
        self.isPrivileged = isPrivileged
        self.allowsNesting = allowsNesting
        self.disks = disks
    }
}
