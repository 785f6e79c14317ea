import ContainerRuntime
import Glibc
import LinuxSystem
import Synchronization

/// Settings below `/proc/sys/net` as one network namespace has them.
struct NetworkSettings: Sendable {
    var settings: [String: String]
    var loopbackUp: Bool

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
                settings: readTree(), loopbackUp: up || flags.contains(" lo"))
        }
    }

    /// Whether the namespace of a process holds nothing but `lo` and interfaces of ours, so that it can be made anew.
    static func isOurs(of pid: pid_t, _ interfaces: [NetworkInterface]) -> Bool {
        (try? stranger(of: pid, interfaces)) == .some(nil) && !hasPacketFilter(pid)
    }

    /// An interface in the namespace of a process that we did not make.
    static func stranger(of pid: pid_t, _ interfaces: [NetworkInterface]) throws -> NetworkLink? {
        let links = try LinkControl(in: Namespaces.open(.network, of: pid)).links()
        return links.first { link in
            let isKnown = link.isLoopback || CheckpointNetwork.isFallback(link)
            return !isKnown && !interfaces.contains { $0.name == link.name && $0.kind.rawValue == link.kind }
        }
    }

    /// Whether there is a packet filter in the namespace of a process.
    static func hasPacketFilter(_ pid: pid_t) -> Bool {
        let legacy =
            ((try? Files.text("/proc/\(pid)/net/ip_tables_names", limit: 4096)) ?? "")
            + ((try? Files.text("/proc/\(pid)/net/ip6_tables_names", limit: 4096)) ?? "")
        guard legacy.isEmpty, let namespace = try? Namespaces.open(.network, of: pid) else { return true }
        // NFT_MSG_GETTABLE of every family. A kernel without nftables has none.
        let question = NetlinkMessage(10 << 8 | 1, flags: NetlinkMessage.dump, header: [0, 0, 0, 0])
        let tables = try? NetlinkSocket(.netfilter, in: namespace).ask(question, "list tables of nftables")
        return !(tables ?? []).isEmpty
    }

    /// The setting of a new namespace that one is compared with: an interface is like those to come.
    static func model(_ name: String) -> String {
        let parts = name.split(separator: "/")
        guard parts.count == 4, ["conf", "neigh"].contains(parts[1]),
            !["all", "default", "lo"].contains(parts[2])
        else { return name }
        return "\(parts[0])/\(parts[1])/default/\(parts[3])"
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
