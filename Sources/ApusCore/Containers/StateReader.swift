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
        state.network = network(live.initPID)
        return state
    }

    /// The interfaces of a process's network namespace, with their counters.
    private static func network(_ pid: Int32) -> [String: InstanceStateNetwork] {
        guard let text = try? Files.text("/proc/\(pid)/net/dev") else { return [:] }
        var interfaces: [String: InstanceStateNetwork] = [:]
        for line in text.split(separator: "\n").dropFirst(2) {
            let sides = line.split(separator: ":", maxSplits: 1)
            guard sides.count == 2 else { continue }
            let numbers = sides[1].split(separator: " ").map { Int64($0) ?? 0 }
            guard numbers.count >= 10 else { continue }
            var interface = InstanceStateNetwork()
            let name = sides[0].drop { $0 == " " }
            interface.counters.bytesReceived = numbers[0]
            interface.counters.packetsReceived = numbers[1]
            interface.counters.bytesSent = numbers[8]
            interface.counters.packetsSent = numbers[9]
            interface.type = name == "lo" ? "loopback" : "broadcast"
            interface.state = "up"
            interface.mtu = name == "lo" ? 65_536 : 1_500
            interfaces[String(name)] = interface
        }
        return interfaces
    }
}
