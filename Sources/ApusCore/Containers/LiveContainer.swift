import ContainerRuntime
import LinuxSystem
import Networking
import Synchronization

/// A generation of a container that runs.
final class LiveContainer: Sendable {
    let spec: ContainerSpec
    let connection: RuntimeConnection
    let initPID: Int32
    let cgroup: ContainerCgroup
    let devices: LiveDevices
    /// Happens when the daemon has taken note of its end.
    let ended = Occurrence()
    private let fileAccess = Mutex<ContainerFiles?>(nil)

    init(spec: ContainerSpec, initPID: Int32, layout: CgroupLayout) {
        self.spec = spec
        self.initPID = initPID
        connection = RuntimeConnection(spec: spec)
        devices = LiveDevices(runtimeDirectory: spec.runtimeDirectory)
        cgroup = ContainerCgroup(layout: layout, name: spec.cgroup)
    }

    var generation: Int64 { Int64(spec.generation) }

    /// Lets its processes run again, whether they stood still or not.
    func thaw() async { try? await cgroup.setFrozen(false) }

    /// Its network interfaces besides `lo`.
    var interfaces: [NetworkInterface] { devices.contributions.flatMap(\.interfaces) }

    /// Lets packets through to it, or none at all.
    func pass(_ open: Bool) throws {
        for interface in interfaces { try interface.pass(open, to: initPID) }
    }

    /// Renames the host's ends of interfaces whose names those of the next life are to have.
    func giveUpHostNames(for next: [NetworkInterface], _ rollback: Rollback) throws {
        for (name, device) in devices.all {
            guard let own = device.contribution.interfaces.first, own.kind == .veth,
                let successor = next.first(where: { $0.kind == .veth && $0.hostName == own.hostName })
            else { continue }
            rollback.add { [devices, initPID] in
                // What is left of the next life may still have the name.
                try successor.remove()
                let present = devices.all[name]?.contribution.interfaces.first ?? own
                _ = try present.stepAside(of: initPID, for: own.hostName)
                try devices.set(name, device)
                try own.applyRules()
            }
            let now = try own.stepAside(of: initPID, for: LinkNames.randomHostEnd())
            var contribution = device.contribution
            contribution.interfaces = [now]
            try devices.set(name, LiveDevice(device: device.device, contribution: contribution))
        }
    }

    /// Changes the addresses of interfaces that are on one wire with those of the next life.
    func giveUpAddresses(for next: [NetworkInterface], _ rollback: Rollback) throws {
        for own in interfaces
        where own.kind == .macvlan
            && next.contains(where: { $0.kind == .macvlan && $0.hostName == own.hostName })
        {
            if let address = own.address {
                rollback.add { [initPID] in _ = try own.stepAside(of: initPID, for: address) }
            }
            _ = try own.stepAside(of: initPID, for: LinkNames.randomAddress())
        }
    }

    /// Takes its interfaces away: another life of the container has their addresses now.
    func disconnect() {
        for interface in interfaces { try? interface.cutOff(pid: initPID) }
    }

    /// The way to its files, made once.
    func files(_ root: ContainerFiles.Root, program: String) -> ContainerFiles {
        fileAccess.withLock { present in
            let files = present ?? ContainerFiles(root, program: program)
            present = files
            return files
        }
    }
}
