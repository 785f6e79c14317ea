import ContainerRuntime

/// Every key of a container's or profile's configuration. The reference is made from this table.
public enum ConfigKeys {
    /// The table.
    public static let all = (ordinary + kernelLimits).sorted { $0.name < $1.name }

    private static let kernelLimits = KernelLimit.resources.map { name, about in
        ConfigKey(
            KernelLimit.key(name), .kernelLimit, default: "the daemon's", live: false,
            "Limit on \(about); see setrlimit(2)")
    }

    private static let ordinary: [ConfigKey] = [
        ConfigKey(
            "boot.autostart", .bool, default: "as it was when the daemon ended", live: true,
            "Whether the container is started when the daemon starts on a freshly booted machine"),
        ConfigKey(
            "boot.autostart.delay", .integer(0...86_400), default: "0", live: true,
            "Seconds to wait after it was started by itself, before the next container is"),
        ConfigKey(
            "boot.autostart.priority", .integer(-1_000_000...1_000_000), default: "0", live: true,
            "Which containers are started by themselves first: those with the highest number"),
        ConfigKey(
            "boot.host_shutdown_timeout", .integer(0...86_400), default: "30", live: true,
            "Seconds a container gets to end cleanly when the daemon is shut down"),
        ConfigKey(
            "boot.stop.priority", .integer(-1_000_000...1_000_000), default: "0", live: true,
            "Which containers are stopped first when the daemon is shut down: those with the highest number"),
        ConfigKey(
            "environment.*", .text, live: true,
            "Environment of init (from the next start on) and of commands run by exec"),
        ConfigKey("image.*", .text, live: true, owner: .image, "Properties of the image it was made from"),
        ConfigKey(
            "limits.cpu", .cpus, default: "all processors", live: true,
            "How many processors (\"2\"), or which (\"0-1\"), its processes run on"),
        ConfigKey(
            "limits.cpu.allowance", .allowance, default: "100%", live: true,
            "Share of processor time when there is contention (\"50%\"), or a hard quota (\"25ms/100ms\")"),
        ConfigKey(
            "limits.cpu.priority", .integer(0...10), default: "10", live: true,
            "Weight among containers with the same allowance; 10 is most"),
        ConfigKey(
            "limits.disk.priority", .integer(0...10), default: "5", live: true,
            "Weight among containers that wait for a disk; 10 is most. Needs a disk scheduler with weights (bfq)"
        ),
        ConfigKey(
            "limits.memory", .bytes, default: "no limit", live: true,
            "Memory it can use, in bytes with a unit, or a percentage of the machine's"),
        ConfigKey(
            "limits.memory.enforce", .word(["hard", "soft"]), default: "hard", live: true,
            "\"hard\": it never gets more than limits.memory; \"soft\": only when memory is scarce on the machine"
        ),
        ConfigKey(
            "limits.memory.swap", .bool, default: "true", live: true, "Whether its memory may be swapped out"),
        ConfigKey(
            "limits.memory.swap.priority", .integer(0...10), default: "0", live: true,
            "The higher, the less likely its memory is swapped out (cgroup v1 only)"),
        ConfigKey(
            "limits.processes", .integer(1...4_194_304), default: "no limit", live: true,
            "How many processes and threads it can have"),
        ConfigKey(
            "migration.downtime.target", .integer(1...3_600_000), default: "300", live: true,
            "Milliseconds that a move may have it stand still for its memory, where that can be chosen"),
        ConfigKey(
            "migration.incremental.memory", .bool, default: "false", live: true,
            "Accepted for LXD's sake; has no effect until containers can be moved while they run"),
        ConfigKey(
            "migration.incremental.memory.goal", .integer(0...100), default: "70", live: true,
            "Percentage of memory that should be in sync before the final transfer; as above"),
        ConfigKey(
            "migration.incremental.memory.iterations", .integer(1...1000), default: "10", live: true,
            "Most rounds of memory transfer before the final one; as above"),
        ConfigKey(
            "migration.postcopy", .bool, default: "true", live: true,
            "Whether it may move before its memory: if a host or the network fails before all is there, it is lost"
        ),
        ConfigKey(
            "security.idmap.base", .integer(1...4_294_000_000), default: "chosen by the daemon", live: false,
            "First host id of its user namespace"),
        ConfigKey(
            "security.idmap.isolated", .bool, default: "true", live: false,
            "Kept for LXD's sake: every unprivileged container has a range of ids of its own"),
        ConfigKey(
            "security.idmap.size", .integer(65_536...1_000_000_000), default: "65536", live: false,
            "How many ids its user namespace has"),
        ConfigKey(
            "security.nesting", .bool, default: "false", live: false,
            "Allows nested namespaces and what else cannot be checkpointed; stateful verbs refuse such containers"
        ),
        ConfigKey(
            "security.privileged", .bool, default: "false", live: false,
            "Runs without a user namespace: root inside is root outside"),
        ConfigKey(
            "security.syscalls.blacklist", .text, live: false,
            "System calls to refuse beside the default ones, one per line"),
        ConfigKey(
            "security.syscalls.blacklist_default", .bool, default: "true", live: false,
            "Whether the default list of refused system calls applies"),
        ConfigKey(
            "security.syscalls.deny", .text, live: false, "The newer name of security.syscalls.blacklist"),
        ConfigKey(
            "security.syscalls.deny_default", .bool, default: "true", live: false,
            "The newer name of security.syscalls.blacklist_default"),
        ConfigKey("user.*", .text, live: true, "Free for users"),
        ConfigKey(
            "volatile.base_image", .text, live: true, owner: .daemon,
            "Fingerprint of the image it was made from"),
        ConfigKey(
            "volatile.*", .text, live: true, owner: .daemon, "Other things that the daemon remembers of it"),
        ConfigKey(
            "volatile.idmap.base", .text, live: true, owner: .daemon, "First host id of its user namespace"),
        ConfigKey(
            "volatile.<device>.host_name", .text, live: true, owner: .daemon,
            "The host's end of a network interface, while it runs"),
        ConfigKey(
            "volatile.<device>.hwaddr", .text, live: true, owner: .daemon,
            "The address made for a network interface that has none of its own"),
        ConfigKey(
            "volatile.last_state.power", .text, live: true, owner: .daemon,
            "RUNNING or STOPPED, as the daemon last knew it"),
        ConfigKey("volatile.uuid", .text, live: true, owner: .daemon, "Its identity across renames"),
    ]

    /// Keys of LXD that make no sense here, and why.
    static let refused: [(prefix: String, reason: String)] = [
        ("raw.lxc", "there is no liblxc here; use the keys for limits and security"),
        ("raw.idmap", "each container has a range of ids of its own; use security.idmap.base and .size"),
        ("raw.seccomp", "use security.syscalls.deny"),
        ("raw.apparmor", "Apus does not use AppArmor"),
        (
            "limits.network.priority",
            "network cards have limits of their own; set limits.ingress and limits.egress on the device"
        ),
        (
            "linux.kernel_modules",
            "modules are the host's and stay when the container goes; load them there, with /etc/modules-load.d"
        ),
        (
            "security.syscalls.whitelist",
            "the checkpointable profile is a deny list; use security.syscalls.deny"
        ),
        ("security.syscalls.allow", "the checkpointable profile is a deny list; use security.syscalls.deny"),
        (
            "security.syscalls.blacklist_compat",
            "the list of refused system calls holds for every architecture of the machine"
        ),
        (
            "security.syscalls.deny_compat",
            "the list of refused system calls holds for every architecture of the machine"
        ),
        (
            "security.devlxd",
            "there is no /dev/lxd: programs with a connection to the host's daemon could not be checkpointed"
        ),
    ]

    /// The entry for a key: the one with just this name, or else the first that takes it in.
    public static func find(_ key: String) -> ConfigKey? {
        all.first { $0.name == key } ?? all.first { $0.matches(key) }
    }

    /// The reference's table, as docs/reference/configuration.md has it.
    public static func markdown() -> String {
        var text = "| key | type | default | live | what it does |\n|---|---|---|---|---|\n"
        for key in all where key.owner == .user {
            text += "| `\(key.name)` | \(key.kind.name) | \(key.defaultValue) | \(key.live ? "yes" : "no") "
            text += "| \(key.summary) |\n"
        }
        text += "\nSet by images and by the daemon, for users to read:\n\n| key | what it says |\n|---|---|\n"
        for key in all where key.owner != .user {
            text += "| `\(key.name)` | \(key.summary) |\n"
        }
        text += "\nKeys of LXD that are refused, and why:\n\n| key | why |\n|---|---|\n"
        for key in refused {
            text += "| `\(key.prefix)\(key.prefix.hasSuffix(".") ? "*" : "")` | \(key.reason) |\n"
        }
        return text
    }
}
