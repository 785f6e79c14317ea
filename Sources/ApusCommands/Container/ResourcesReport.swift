package import ApusAPI

/// A machine as `apus info --resources` describes it.
package struct ResourcesReport {
    private let resources: Resources

    package init(_ resources: Resources) { self.resources = resources }

    /// The whole description.
    package var text: String { (cpu + [""] + memory).map { $0 + "\n" }.joined() }

    private var cpu: [String] {
        let sockets = resources.cpu.sockets
        if sockets.count == 1 { return ["CPU:"] + sockets.flatMap { lines($0, "  ") } }
        return ["CPUs:"]
            + sockets.flatMap { ["  Socket \($0.socket):"] + lines($0, "    ") }
            + ["  Total threads: \(resources.cpu.total)"]
    }

    private func lines(_ socket: CPUSocket, _ indent: String) -> [String] {
        var lines: [String] = []
        if let vendor = socket.vendor { lines.append("Vendor: \(vendor)") }
        if let name = socket.name { lines.append("Name: \(name)") }
        lines += ["Cores: \(socket.cores)", "Threads: \(socket.threads)"]
        if let frequency = socket.frequency {
            let most = socket.frequencyTurbo.map { " (max: \($0)MHz)" } ?? ""
            lines.append("Frequency: \(frequency)MHz\(most)")
        }
        return lines.map { indent + $0 }
    }

    private var memory: [String] {
        let memory = resources.memory
        return [
            "Memory:", "  Free: \(Units.bytes(memory.total - memory.used))",
            "  Used: \(Units.bytes(memory.used))", "  Total: \(Units.bytes(memory.total))",
        ]
    }
}
