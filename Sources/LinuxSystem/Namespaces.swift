import CLinux
public import Glibc

/// Kinds of namespaces.
public struct Namespaces: OptionSet, Sendable {
    /// The kernel's CLONE_NEW… bits.
    public let rawValue: UInt32
    /// From the kernel's bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// User and group ids, capabilities.
    public static let user = Namespaces(rawValue: UInt32(APUS_CLONE_NEWUSER))
    /// Mounts.
    public static let mount = Namespaces(rawValue: UInt32(APUS_CLONE_NEWNS))
    /// Process ids.
    public static let pid = Namespaces(rawValue: UInt32(APUS_CLONE_NEWPID))
    /// Network.
    public static let network = Namespaces(rawValue: UInt32(APUS_CLONE_NEWNET))
    /// Host name.
    public static let uts = Namespaces(rawValue: UInt32(APUS_CLONE_NEWUTS))
    /// System V IPC, POSIX message queues.
    public static let ipc = Namespaces(rawValue: UInt32(APUS_CLONE_NEWIPC))
    /// Cgroup root.
    public static let cgroup = Namespaces(rawValue: UInt32(APUS_CLONE_NEWCGROUP))
    /// Clocks.
    public static let time = Namespaces(rawValue: UInt32(APUS_CLONE_NEWTIME))

    /// Each kind with its file in `/proc/<pid>/ns`.
    public static let files: [(kind: Namespaces, file: String)] = [
        (.user, "user"), (.mount, "mnt"), (.pid, "pid"), (.network, "net"), (.uts, "uts"), (.ipc, "ipc"),
        (.cgroup, "cgroup"), (.time, "time"),
    ]

    /// Moves the calling thread into namespaces: of a namespace file, or of a process by its pidfd.
    public static func enter(_ descriptor: FileDescriptor, _ kinds: Namespaces = []) throws {
        try check("setns", "join a namespace") {
            apus_setns(descriptor.rawValue, Int32(bitPattern: kinds.rawValue))
        }
    }

    /// Gives the calling thread (process, if single-threaded) new namespaces.
    public static func unshare(_ kinds: Namespaces) throws {
        try check("unshare", "make new namespaces") { apus_unshare(Int32(bitPattern: kinds.rawValue)) }
    }

    /// Opens a namespace of a process, such as `open(.network, of: pid)`.
    public static func open(_ kind: Namespaces, of pid: pid_t) throws -> FileDescriptor {
        let file = files.first { $0.kind == kind }?.file ?? "none"
        return try FileDescriptor.open("/proc/\(pid)/ns/\(file)", O_RDONLY)
    }

    /// A new user namespace with this map, kept alive by the descriptor alone.
    public static func makeUser(_ map: IDMap) throws -> FileDescriptor {
        var holder = apus_userns_holder()
        try check("clone", "make a user namespace") { apus_userns_hold(&holder) }
        defer { apus_userns_release(&holder) }
        try map.apply(to: holder.pid)
        return try open(.user, of: holder.pid)
    }
}
