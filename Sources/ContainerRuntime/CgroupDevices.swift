import CLinux
import Glibc
import LinuxSystem

/// Lets a container open the harmless devices, and make nodes of others but not open those. Matters for
/// privileged containers alone: the kernel lets nobody else make nodes.
enum CgroupDevices {
    /// null zero full random urandom; tty console ptmx; pseudo terminals (any).
    static let allowed: [(major: Int32, minor: Int32?)] = [
        (1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, nil),
    ]

    /// On a v1 hierarchy; has to be done before there are cgroups below.
    static func limitV1(_ directory: String) throws {
        do {
            try Files.poke(directory + "/devices.deny", "a")
        } catch let error as SystemError where error.errno == EINVAL {
            // There are cgroups below: it has been done.
            return
        }
        for entry in ["c *:* m", "b *:* m"] { try Files.poke(directory + "/devices.allow", entry) }
        for (major, minor) in allowed {
            try Files.poke(directory + "/devices.allow", "c \(major):\(minor.map(String.init) ?? "*") rwm")
        }
    }

    /// On the unified hierarchy.
    static func limitV2(_ directory: String) throws {
        let cgroup = try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY)
        let majors = allowed.map(\.major)
        let minors = allowed.map { $0.minor ?? -1 }
        try check("bpf", "limit the devices of \(directory)") {
            apus_cgroup_limit_devices(cgroup.rawValue, majors, minors, majors.count)
        }
    }
}
