public import Glibc

/// What `/proc/<pid>/stat` and `/proc/<pid>/status` tell about a process.
public struct ProcessStatus: Sendable, Hashable {
    /// Its number.
    public var pid: pid_t
    /// Its name, as `ps` shows it in brackets.
    public var name: String
    /// `R`, `S`, `D`, `Z`, `T`, `t` …
    public var state: Character
    /// Its parent.
    public var parent: pid_t
    /// Its process group.
    public var group: pid_t
    /// Its session.
    public var session: pid_t
    /// Ticks of CPU time in user mode and in the kernel.
    public var userTicks: UInt64, systemTicks: UInt64
    /// Ticks after boot when it was started.
    public var startTicks: UInt64
    /// Threads.
    public var threads: Int
    /// Whether it is on its way out, or out: `PF_EXITING` of the kernel's include/linux/sched.h.
    public var isEnding: Bool

    /// Reads a process; throws if it has gone.
    public init(pid: pid_t) throws {
        let text = try Files.text("/proc/\(pid)/stat")
        guard let parsed = ProcessStatus(stat: text) else {
            throw SystemError(call: "parse", errno: EINVAL, context: "read /proc/\(pid)/stat")
        }
        self = parsed
    }

    /// Parses a line of `/proc/<pid>/stat`.
    public init?(stat text: String) {
        guard let open = text.firstIndex(of: "("), let close = text.lastIndex(of: ")"), open < close,
            let pid = pid_t(text[..<open].trimmingSpaces)
        else { return nil }
        let words = text[text.index(after: close)...].split(whereSeparator: { $0 == " " || $0 == "\n" })
        guard words.count >= 20, let state = words[0].first, let parent = pid_t(words[1]),
            let group = pid_t(words[2]), let session = pid_t(words[3]), let flags = UInt32(words[6]),
            let user = UInt64(words[11]),
            let system = UInt64(words[12]), let threads = Int(words[17]), let start = UInt64(words[19])
        else { return nil }
        self.pid = pid
        name = String(text[text.index(after: open)..<close])
        self.state = state
        self.parent = parent
        self.group = group
        isEnding = flags & 0x4 != 0
        self.session = session
        userTicks = user
        systemTicks = system
        self.threads = threads
        startTicks = start
    }

    /// The fields of `/proc/<pid>/status` by name, such as `Uid` or `NSpid`.
    public static func fields(pid: pid_t) throws -> [String: String] {
        parseFields(try Files.text("/proc/\(pid)/status"))
    }

    /// `Name: value` lines.
    public static func parseFields(_ text: String) -> [String: String] {
        var result: [String: String] = [:]
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            result[String(line[..<colon])] = line[line.index(after: colon)...].trimmingSpaces
        }
        return result
    }
}

extension StringProtocol {
    /// Without spaces, tabs and line ends at both ends.
    package var trimmingSpaces: String {
        let blank: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\n" }
        let front = drop(while: blank)
        guard let last = front.lastIndex(where: { !blank($0) }) else { return "" }
        return String(front[...last])
    }
}

/// What /proc tells about processes.
public enum Proc {
    /// The children of a process (of all its threads).
    public static func children(of pid: pid_t) -> [pid_t] {
        guard let tasks = try? Files.names(in: "/proc/\(pid)/task") else { return [] }
        return tasks.flatMap { task in
            ((try? Files.text("/proc/\(pid)/task/\(task)/children")) ?? "").split(separator: " ").compactMap {
                pid_t($0)
            }
        }
    }

    /// A process and all below it, parents first.
    public static func tree(from pid: pid_t) -> [pid_t] {
        [pid] + children(of: pid).flatMap { tree(from: $0) }
    }

    /// The command line, or empty for a kernel thread or zombie.
    public static func commandLine(_ pid: pid_t) -> [String] {
        guard let bytes = try? Files.bytes("/proc/\(pid)/cmdline", limit: 1 << 20) else { return [] }
        return bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast().map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    /// The open descriptors of a process and what they are: `3 → /var/log/x`, `4 → anon_inode:[eventpoll]`.
    public static func descriptors(_ pid: pid_t) throws -> [(number: Int32, target: String)] {
        try Files.names(in: "/proc/\(pid)/fd").compactMap { name in
            guard let number = Int32(name), let target = try? Files.readLink("/proc/\(pid)/fd/\(name)") else {
                return nil
            }
            return (number, target)
        }
    }

    /// The fields of `/proc/<pid>/fdinfo/<fd>`; a field that comes more than once keeps all its values.
    public static func descriptorInfo(_ pid: pid_t, _ number: Int32) throws -> [String: [String]] {
        var result: [String: [String]] = [:]
        for line in try Files.text("/proc/\(pid)/fdinfo/\(number)").split(separator: "\n") {
            let end = line.firstIndex(where: { $0 == ":" || $0 == " " }) ?? line.endIndex
            let rest = end < line.endIndex ? line[line.index(after: end)...].trimmingSpaces : ""
            result[String(line[..<end]), default: []].append(rest)
        }
        return result
    }

    /// The cgroup of a process in each hierarchy: controllers (`cpu,cpuacct`, `name=systemd`, empty for v2) →
    /// path.
    public static func cgroups(_ pid: pid_t) throws -> [(controllers: String, path: String)] {
        try Files.text("/proc/\(pid)/cgroup").split(separator: "\n").compactMap { line in
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            return parts.count == 3 ? (String(parts[1]), String(parts[2])) : nil
        }
    }
}
