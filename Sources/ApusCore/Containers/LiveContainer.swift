import ContainerRuntime
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
        for interface in interfaces { try interface.pass(open) }
    }

    /// Takes its interfaces away: another life of the container has their addresses now.
    func disconnect() {
        for interface in interfaces { try? interface.remove() }
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
