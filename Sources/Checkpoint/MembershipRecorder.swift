import ContainerRuntime
import Glibc
import LinuxSystem

/// Finds the multicast groups that sockets are members of: CRIU restores the sockets without them. The kernel lists
/// groups by interface alone, so each socket is asked for each of them; most containers have none.
struct MembershipRecorder {
    private var groups: [String: [MulticastMembership.Group]] = [:]
    private var seen: Set<String> = []

    /// The memberships of a process's sockets that no process asked about before has as well.
    mutating func memberships(of pid: pid_t) -> [CheckpointMembership] {
        guard let namespace = try? Files.readLink("/proc/\(pid)/ns/net") else { return [] }
        let groups = self.groups[namespace] ?? MulticastMembership.groups(ofProcess: pid)
        self.groups[namespace] = groups
        guard !groups.isEmpty, let process = try? ProcessDescriptor(pid: pid),
            let descriptors = try? Proc.descriptors(pid)
        else { return [] }
        var result: [CheckpointMembership] = []
        for (number, target) in descriptors where target.hasPrefix("socket:") && seen.insert(target).inserted
        {
            guard let socket = try? process.duplicate(descriptor: number) else { continue }
            result += groups.compactMap { MulticastMembership.of(socket, in: $0) }.map {
                CheckpointMembership(descriptor: number, membership: $0)
            }
        }
        return result
    }
}
