import CLinux
import Glibc
import LinuxSystem

/// Fills the new, empty network namespace of a restored container.
enum RestoreNetwork {
    /// Brings `lo` up and replays the settings below `/proc/sys/net`, inside the namespace of `pid`. For
    /// single-threaded programs: the whole process changes over for a moment.
    static func configure(_ pid: pid_t, from record: CheckpointRecord) throws {
        let home = try Namespaces.open(.network, of: getpid())
        try Namespaces.enter(try Namespaces.open(.network, of: pid), .network)
        defer { try? Namespaces.enter(home, .network) }
        if record.loopbackUp { try check("ioctl", "bring the container's lo up") { apus_loopback_up() } }
        // "all" and "default" first: they spread to the others.
        for (name, value) in record.networkSettings.sorted(by: { rank($0.key) < rank($1.key) })
        where !name.split(separator: "/").contains("..") {
            try? Files.poke("/proc/sys/net/\(name)", value)
        }
    }

    private static func rank(_ name: String) -> (Int, String) {
        (name.contains("/all/") ? 0 : name.contains("/default/") ? 1 : 2, name)
    }
}
