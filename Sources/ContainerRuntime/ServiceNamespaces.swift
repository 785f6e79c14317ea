import Glibc
import LinuxSystem

/// The mount namespaces of a container beside init's. systemd gives one to each service that is to see less than the
/// rest: a copy, in which later mounts of init's do not appear.
struct ServiceNamespaces {
    /// A process that is in one of them.
    struct Member {
        let process: ProcessDescriptor
        /// Its name, for people.
        let name: String
    }

    /// One process for each. Left out are those with another root, or with other user ids: inside them paths mean
    /// something else.
    static func members(of spec: ContainerSpec, initPID: pid_t) throws -> [Member] {
        let cgroup = ContainerCgroup(layout: try .current(), name: spec.cgroup)
        guard let root = identity("/proc/\(initPID)/root/."),
            let users = identity("/proc/\(initPID)/ns/user"),
            let own = identity("/proc/\(initPID)/ns/mnt")
        else { return [] }
        var seen: Set<[UInt64]> = [own]
        var result: [Member] = []
        for pid in cgroup.processes().sorted() {
            // Whoever ends meanwhile needs no mounts.
            guard let space = identity("/proc/\(pid)/ns/mnt"), !seen.contains(space),
                identity("/proc/\(pid)/ns/user") == users, identity("/proc/\(pid)/root/.") == root,
                let process = try? ProcessDescriptor(pid: pid), identity("/proc/\(pid)/ns/mnt") == space
            else { continue }
            seen.insert(space)
            let name = (try? Files.text("/proc/\(pid)/comm", limit: 64).trimmingSpaces) ?? ""
            result.append(Member(process: process, name: name))
        }
        return result
    }

    /// What tells a file from all others.
    private static func identity(_ path: String) -> [UInt64]? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return [UInt64(status.st_dev), UInt64(status.st_ino)]
    }
}
