import ApusAPI
import ContainerRuntime
import LinuxSystem

/// What containers use, read from cgroup and proc files: no process is started for it.
enum StateReader {
    static func state(_ entry: ContainerEntry) -> InstanceState {
        var state = InstanceState()
        state.status = entry.status.text
        state.statusCode = entry.status.rawValue
        guard let live = entry.live else { return state }
        state.pid = Int64(live.initPID)
        let statistics = live.cgroup.statistics()
        state.processes = statistics.processes ?? 0
        state.cpu = InstanceStateCPU(usage: statistics.cpuNanoseconds ?? 0)
        state.memory.usage = statistics.memory ?? 0
        state.memory.usagePeak = statistics.memoryPeak ?? 0
        state.memory.swapUsage = statistics.swap ?? 0
        state.network = network(live)
        return state
    }

    /// Bytes of memory that a container occupies, its page cache included.
    static func memory(_ live: LiveContainer) -> Int64 { live.cgroup.statistics().memory ?? 0 }

    /// The interfaces of a container, with addresses and counters.
    private static func network(_ live: LiveContainer) -> [String: InstanceStateNetwork] {
        guard let namespace = try? Namespaces.open(.network, of: live.initPID),
            let control = try? LinkControl(in: namespace), let links = try? control.links()
        else { return [:] }
        let addresses = (try? AddressControl(control.socket).addresses()) ?? []
        let ours = live.interfaces
        var interfaces: [String: InstanceStateNetwork] = [:]
        for link in links where !CheckpointNetwork.isFallback(link) {
            var interface = InstanceStateNetwork()
            interface.addresses = addresses.filter { $0.index == link.index }.map(\.apiAddress)
            interface.counters = link.apiCounters
            interface.hwaddr = link.isLoopback ? "" : link.address
            interface.hostName = ours.first { $0.name == link.name && $0.kind == .veth }?.hostName ?? ""
            interface.mtu = Int(link.mtu)
            interface.state = link.isUp ? "up" : "down"
            interface.type = link.isLoopback ? "loopback" : "broadcast"
            interfaces[link.name] = interface
        }
        return interfaces
    }
}
