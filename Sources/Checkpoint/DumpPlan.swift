package import ContainerRuntime
import Glibc
package import LinuxSystem

/// What is settled about a dump before anything is stopped.
package struct DumpPlan: Sendable {
    let subject: CheckpointSubject
    let recorder: CheckpointRecorder
    let externalMounts: [CheckpointExternalMount]
    let emptyNetwork: Bool
    /// Settings of the network namespace, read beforehand: there are a thousand files, and they change seldom.
    let network: NetworkSettings?
    /// Those of a new network namespace, to tell which were changed.
    let networkDefaults: [String: String]
    let idmap: IDMap?
    /// Processes that were stopped (by SIGSTOP) before: they stay so.
    let stopped: Set<pid_t>

    init(_ subject: CheckpointSubject, networkDefaults: [String: String]) throws {
        self.subject = subject
        self.networkDefaults = networkDefaults
        recorder = CheckpointRecorder(subject: subject, layout: try .current())
        externalMounts = Self.externalMounts(try MountInfo.of(pid: subject.initPID))
        // CRIU: "Unable to dump more than one netns if the --emptyns is set" (services with PrivateNetwork=yes).
        emptyNetwork =
            Self.hasOneNetwork(subject.initPID) && NetworkSettings.isEmpty(of: subject.initPID)
        network = emptyNetwork ? try NetworkSettings.read(of: subject.initPID) : nil
        idmap = subject.isPrivileged ? nil : try Self.idmap(of: subject.initPID)
        stopped = Self.stoppedProcesses(subject.initPID)
    }

    /// The network settings that differ from those of a new namespace.
    var changedNetworkSettings: [String: String] {
        network?.settings.filter { networkDefaults[$0.key] != $0.value } ?? [:]
    }

    /// The mounts of the container that show something of the host's: devices, and the control groups.
    package static func externalMounts(_ mounts: [MountInfo]) -> [CheckpointExternalMount] {
        mounts.compactMap { mount in
            if mount.mountPoint == "/sys/fs/cgroup", mount.type == "cgroup2" {
                return CheckpointExternalMount(mountPoint: mount.mountPoint, key: "cgroup", source: .cgroup)
            }
            for device in RootFileSystem.devices where mount.mountPoint == "/dev/\(device)" {
                return CheckpointExternalMount(
                    mountPoint: mount.mountPoint, key: "dev-\(device)", source: .host(path: "/dev/\(device)"))
            }
            return nil
        }
    }

    /// Whether all processes are in the network namespace of init.
    private static func hasOneNetwork(_ pid: pid_t) -> Bool {
        let own = try? Files.readLink("/proc/\(pid)/ns/net")
        return Proc.tree(from: pid).allSatisfy { process in
            let other = try? Files.readLink("/proc/\(process)/ns/net")
            return other == nil || other == own
        }
    }

    private static func idmap(of pid: pid_t) throws -> IDMap {
        IDMap(
            users: try IDMap.parse(try Files.text("/proc/\(pid)/uid_map", limit: 1 << 16)),
            groups: try IDMap.parse(try Files.text("/proc/\(pid)/gid_map", limit: 1 << 16)))
    }

    static func stoppedProcesses(_ pid: pid_t) -> Set<pid_t> {
        Set(Proc.tree(from: pid).filter { (try? ProcessStatus(pid: $0))?.state == "T" })
    }
}
