import CLinux
import Glibc
import LinuxSystem

/// A limit of the kernel on one resource of each process, as setrlimit(2) has them: `limits.kernel.<name>`.
public struct KernelLimit: Sendable, Hashable, Codable {
    /// The resource, by the name it has in configurations: "nofile".
    public let name: String
    /// The number of the resource.
    let resource: Int32
    /// What holds for programs until they ask for more; `UInt64.max` is no limit.
    public let soft: UInt64
    /// The most they can ask for; `UInt64.max` is no limit.
    public let hard: UInt64

    /// The key of a container's configuration that sets it.
    public static func key(_ name: String) -> String { "limits.kernel.\(name)" }

    /// Every resource, with what its number counts.
    public static let resources: [(name: String, about: String)] = table.map { ($0.name, $0.about) }

    private static let table: [(name: String, resource: __rlimit_resource, about: String)] = [
        ("as", RLIMIT_AS, "bytes of address space of a process"),
        ("core", RLIMIT_CORE, "bytes of a core file"),
        ("cpu", RLIMIT_CPU, "seconds of processor time of a process"),
        ("data", RLIMIT_DATA, "bytes of data of a process"),
        ("fsize", RLIMIT_FSIZE, "bytes of a file that a process writes"),
        ("locks", __RLIMIT_LOCKS, "locks of files (ignored by kernels since 2.6)"),
        ("memlock", __RLIMIT_MEMLOCK, "bytes of memory that a process may lock"),
        ("msgqueue", __RLIMIT_MSGQUEUE, "bytes of POSIX message queues of a user"),
        ("nice", __RLIMIT_NICE, "20 less the lowest nice value of a process"),
        ("nofile", RLIMIT_NOFILE, "open files of a process"),
        ("nproc", __RLIMIT_NPROC, "processes and threads of a user"),
        ("rss", __RLIMIT_RSS, "bytes of memory in use (ignored by kernels since 2.6)"),
        ("rtprio", __RLIMIT_RTPRIO, "the highest real-time priority of a process"),
        ("rttime", __RLIMIT_RTTIME, "microseconds of real-time processor time without a pause"),
        ("sigpending", __RLIMIT_SIGPENDING, "signals that wait for a user's processes"),
        ("stack", RLIMIT_STACK, "bytes of a process's stack"),
    ]

    /// Reads a limit: "1000" for both, or "1000:2000", soft and hard; "unlimited" is a number, too. Nil if it is none.
    public init?(name: String, _ text: String) {
        guard let entry = Self.table.first(where: { $0.name == name }) else { return nil }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(Self.number)
        guard let first = parts.first, let soft = first, let hard = parts.count == 2 ? parts[1] : soft,
            parts.count <= 2, soft <= hard
        else { return nil }
        self.name = name
        resource = Int32(entry.resource.rawValue)
        self.soft = soft
        self.hard = hard
    }

    /// Both numbers, as `init` reads them.
    package var text: String { "\(soft):\(hard)" }

    private static func number(_ text: Substring) -> UInt64? {
        text == "unlimited" ? .max : text.allSatisfy(\.isNumber) ? UInt64(text) : nil
    }

    /// What holds for a process; 0: the caller.
    func current(of pid: pid_t) throws -> (soft: UInt64, hard: UInt64) {
        var (soft, hard): (UInt64, UInt64) = (0, 0)
        try check("prlimit", "read the limit on \(name)") {
            apus_get_rlimit(pid, resource, &soft, &hard)
        }
        return (soft, hard)
    }

    /// Sets it for a process and what that will start; 0: the caller.
    func apply(to pid: pid_t) throws {
        try check("prlimit", "set limits.kernel.\(name)") { apus_set_rlimit(pid, resource, soft, hard) }
    }

    /// Lets the caller's children have it: from inside a user namespace nobody can go beyond what the parent may have.
    func permit() throws {
        let (soft, hard) = try current(of: 0)
        guard hard < self.hard else { return }
        try check("prlimit", "permit limits.kernel.\(name)") {
            apus_set_rlimit(0, resource, soft, self.hard)
        }
    }
}
