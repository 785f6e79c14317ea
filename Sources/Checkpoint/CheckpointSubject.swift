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

    /// Describes a running container.
    public init(
        name: String, initPID: Int32, cgroup: String, isPrivileged: Bool = false, allowsNesting: Bool = false
    ) {
        self.name = name
        self.initPID = initPID
        self.cgroup = cgroup
        self.isPrivileged = isPrivileged
        self.allowsNesting = allowsNesting
    }
}
