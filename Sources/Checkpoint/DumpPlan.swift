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
        let mounts = try MountInfo.of(pid: subject.initPID)
        externalMounts = Self.externalMounts(mounts) + (try Self.disks(of: subject, mounts))
        // CRIU: "Unable to dump more than one netns if the --emptyns is set" (services with PrivateNetwork=yes).
        emptyNetwork =
            Self.hasOneNetwork(subject.initPID)
            && NetworkSettings.isOurs(of: subject.initPID, subject.interfaces)
        network = emptyNetwork ? try NetworkSettings.read(of: subject.initPID) : nil
        idmap = subject.isPrivileged ? nil : try Self.idmap(of: subject.initPID)
        stopped = Self.stoppedProcesses(subject.initPID)
    }

    /// The network settings that differ from those of a new namespace.
    var changedNetworkSettings: [String: String] {
        network?.settings.filter { networkDefaults[NetworkSettings.model($0.key)] != $0.value } ?? [:]
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

    /// The mounts of the container that show its disks. One that was unmounted inside, or has something else mounted on
    /// it, is not among them.
    private static func disks(of subject: CheckpointSubject, _ mounts: [MountInfo]) throws
        -> [CheckpointExternalMount]
    {
        guard !subject.disks.isEmpty else { return [] }
        let host = try MountInfo.current()
        return subject.disks.compactMap { disk in
            guard let shown = host.last(where: { $0.mountPoint == disk.hostPath }),
                let mount = mounts.last(where: { $0.mountPoint == disk.path }),
                [mount.major, mount.minor] == [shown.major, shown.minor], mount.root == shown.root
            else { return nil }
            return CheckpointExternalMount(
                mountPoint: disk.path, key: "disk-\(disk.name)", source: .disk(name: disk.name))
        }
    }

    /// Whether all processes are in the network namespace of init.
    static func hasOneNetwork(_ pid: pid_t) -> Bool {
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
