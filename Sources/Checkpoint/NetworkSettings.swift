import Glibc
import LinuxSystem
import Synchronization

/// Settings below `/proc/sys/net` as one network namespace has them.
struct NetworkSettings: Sendable {
    var settings: [String: String]
    var loopbackUp: Bool
    /// Only `lo`, with its usual addresses, and no packet filter: the namespace can be made anew.
    var isEmpty: Bool

    /// The settings of a new namespace.
    static func ofNewNamespace() throws -> [String: String] {
        try OwnThread.run {
            try Namespaces.unshare(.network)
            return readTree()
        }
    }

    /// The settings of the namespace a process is in.
    static func read(of pid: pid_t) throws -> NetworkSettings {
        let namespace = try Namespaces.open(.network, of: pid)
        return try OwnThread.run {
            try Namespaces.enter(namespace, .network)
            let flags = (try? Files.text("/proc/thread-self/net/if_inet6", limit: 1 << 16)) ?? ""
            let up = ((try? Files.text("/proc/thread-self/net/fib_trie", limit: 1 << 20)) ?? "").contains(
                "127.0.0.1")
            return NetworkSettings(
                settings: readTree(), loopbackUp: up || flags.contains(" lo"), isEmpty: looksEmpty(pid))
        }
    }

    /// Whether the namespace of a process holds nothing but `lo` as every new one has it.
    static func isEmpty(of pid: pid_t) -> Bool { looksEmpty(pid) && !hasPacketFilter(pid) }

    private static func looksEmpty(_ pid: pid_t) -> Bool {
        guard let devices = try? Files.text("/proc/\(pid)/net/dev", limit: 1 << 20) else { return false }
        let names = devices.split(separator: "\n").dropFirst(2).compactMap {
            $0.split(separator: ":").first?.trimmingSpaces
        }
        let v6 = ((try? Files.text("/proc/\(pid)/net/if_inet6", limit: 1 << 20)) ?? "").split(separator: "\n")
        let trie = (try? Files.text("/proc/\(pid)/net/fib_trie", limit: 1 << 20)) ?? ""
        let hosts = Set(
            trie.split(separator: "\n").filter { $0.contains("|-- ") }
                .compactMap { $0.split(separator: " ").last.map(String.init) })
        let legacy =
            ((try? Files.text("/proc/\(pid)/net/ip_tables_names", limit: 4096)) ?? "")
            + ((try? Files.text("/proc/\(pid)/net/ip6_tables_names", limit: 4096)) ?? "")
        return names == ["lo"] && v6.count <= 1
            && v6.allSatisfy { $0.hasPrefix("00000000000000000000000000000001 ") }
            && hosts.isSubset(of: ["0.0.0.0", "127.0.0.0", "127.0.0.1", "127.255.255.255"]) && legacy.isEmpty
    }

    /// Whether nft knows any table in the namespace of a process.
    private static func hasPacketFilter(_ pid: pid_t) -> Bool {
        guard let namespace = try? Namespaces.open(.network, of: pid), let pipe = try? FileDescriptor.pipe()
        else {
            return true
        }
        let spawn = Spawn(["nft", "list", "tables"], fds: [1: pipe.write]).configured {
            $0.join = [namespace]
        }
        // Without nft on the host CRIU could not save its rules either.
        guard let child = try? spawn.start() else { return false }
        pipe.write.close()
        let output = (try? pipe.read.readAll(limit: 1 << 16)) ?? []
        _ = try? child.waitBlocking()
        return !output.isEmpty
    }

    private static func readTree() -> [String: String] {
        var result: [String: String] = [:]
        visit("", &result)
        return result
    }

    private static func visit(_ path: String, _ result: inout [String: String]) {
        let directory = "/proc/sys/net/\(path)"
        for name in (try? Files.names(in: directory)) ?? [] where !skipped.contains(name) {
            let child = path.isEmpty ? name : "\(path)/\(name)"
            var information = stat()
            guard lstat("/proc/sys/net/\(child)", &information) == 0 else { continue }
            if information.st_mode & S_IFMT == S_IFDIR {
                visit(child, &result)
            } else if information.st_mode & 0o200 != 0, information.st_mode & 0o400 != 0,
                let text = try? Files.text("/proc/sys/net/\(child)", limit: 4096)
            {
                result[child] = text.trimmingSpaces
            }
        }
    }

    /// Not settings: what they show, or do when written, is of the moment. `stable_secret` cannot be read unset.
    /// The last two are old names of others, of which the kernel complains.
    private static let skipped: Set<String> = [
        "flush", "stable_secret", "nf_log", "nf_conntrack_count", "base_reachable_time", "retrans_time",
    ]
}
