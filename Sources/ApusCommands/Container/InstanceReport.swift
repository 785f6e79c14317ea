package import ApusAPI

/// A container as `apus info` describes it.
package struct InstanceReport {
    private let instance: Instance

    package init(_ instance: Instance) { self.instance = instance }

    /// The whole description.
    package var text: String { (head + resources + network + snapshots).map { $0 + "\n" }.joined() }

    private var head: [String] {
        var lines = [
            "Name: \(instance.name)",
            "Status: \(instance.status.uppercased())",
            "Type: container" + (instance.ephemeral ? " (ephemeral)" : ""),
            "Architecture: \(instance.architecture)",
        ]
        if let pid = instance.state?.pid, pid > 0 { lines.append("PID: \(pid)") }
        lines.append("Created: \(Units.moment(instance.createdAt))")
        if instance.lastUsedAt.seconds > 0 { lines.append("Last Used: \(Units.moment(instance.lastUsedAt))") }
        lines.append("Profiles: \(instance.profiles.joined(separator: ", "))")
        if !instance.description.isEmpty { lines.append("Description: \(instance.description)") }
        if instance.stateful { lines.append(savedState) }
        return lines
    }

    private var savedState: String {
        var about = ""
        if let time = instance.apusStateTakenAt { about += " (taken at \(Units.moment(time)))" }
        if let size = instance.apusStateSize { about += " (\(Units.bytes(size)))" }
        return "Saved state: yes\(about); the next start continues from it"
    }

    private var resources: [String] {
        guard let state = instance.state else { return [] }
        var lines: [String] = []
        if state.processes > 0 { lines.append("  Processes: \(state.processes)") }
        let disks = state.disk.filter { $0.value.usage > 0 }.sorted { $0.key < $1.key }
        if !disks.isEmpty {
            lines += ["  Disk usage:"] + disks.map { "    \($0.key): \(Units.bytes($0.value.usage))" }
        }
        if state.cpu.usage > 0 {
            lines += ["  CPU usage:", "    CPU usage (in seconds): \(state.cpu.usage / 1_000_000_000)"]
        }
        let memory = [
            ("Memory (current)", state.memory.usage), ("Memory (peak)", state.memory.usagePeak),
            ("Swap (current)", state.memory.swapUsage), ("Swap (peak)", state.memory.swapUsagePeak),
        ].filter { $0.1 > 0 }
        if !memory.isEmpty {
            lines += ["  Memory usage:"] + memory.map { "    \($0.0): \(Units.bytes($0.1))" }
        }
        return lines.isEmpty ? [] : ["", "Resources:"] + lines
    }

    private var network: [String] {
        let interfaces = (instance.state?.network ?? [:]).sorted { $0.key < $1.key }
        guard !interfaces.isEmpty else { return [] }
        return ["  Network usage:"]
            + interfaces.flatMap { name, interface in
                var lines = [
                    "    \(name):", "      Type: \(interface.type)",
                    "      State: \(interface.state.uppercased())",
                ]
                if !interface.hostName.isEmpty { lines.append("      Host interface: \(interface.hostName)") }
                if !interface.hwaddr.isEmpty { lines.append("      MAC address: \(interface.hwaddr)") }
                lines += [
                    "      MTU: \(interface.mtu)",
                    "      Bytes received: \(Units.decimalBytes(interface.counters.bytesReceived))",
                    "      Bytes sent: \(Units.decimalBytes(interface.counters.bytesSent))",
                    "      Packets received: \(interface.counters.packetsReceived)",
                    "      Packets sent: \(interface.counters.packetsSent)",
                ]
                if !interface.addresses.isEmpty { lines.append("      IP addresses:") }
                return lines
                    + interface.addresses.map {
                        "        \($0.family): \($0.address)/\($0.netmask) (\($0.scope))"
                    }
            }
    }

    private var snapshots: [String] {
        let snapshots = (instance.snapshots ?? []).sorted { $0.createdAt < $1.createdAt }
        guard !snapshots.isEmpty else { return [] }
        return ["", "Snapshots:"]
            + snapshots.map { snapshot in
                var line = "  \(snapshot.name) (taken at \(Units.moment(snapshot.createdAt)))"
                line += snapshot.stateful ? " (stateful)" : " (stateless)"
                if snapshot.stateful, snapshot.apusStateSize > 0 {
                    line += " (state: \(Units.bytes(snapshot.apusStateSize)))"
                }
                return line
            }
    }
}
