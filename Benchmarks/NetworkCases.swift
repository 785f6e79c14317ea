import Foundation
import Glibc

/// The measurements that need a network.
struct NetworkCases {
    private let host: BenchHost
    private let image: String
    private let small: String
    private let guest: String
    private let rounds: Int
    private let many: Int
    /// The network.
    private let network = "apbench\(getpid() % 100_000)"

    init(_ host: BenchHost, _ image: String, _ small: String, _ guest: String, _ rounds: Int, _ many: Int) {
        (self.host, self.image, self.small) = (host, image, small)
        (self.guest, self.rounds, self.many) = (guest, rounds, many)
    }

    /// All of them, in the order of the table.
    func all() throws -> [Figure] {
        try host.apus("network", "create", network)
        defer {
            for left in (try? host.containers()) ?? [] { _ = try? host.apus("delete", left, "--force") }
            _ = try? host.apus("network", "delete", network)
        }
        return try [reachable(), standingStill(), startMany()].flatMap { $0 }
    }

    /// From the end of `launch` to the first answer, at an address that was chosen beforehand.
    private func reachable() throws -> [Figure] {
        let gateway = try host.apus("network", "get", network, "ipv4.address")
        let address = gateway.split(separator: ".").prefix(3).joined(separator: ".") + ".77"
        // The kernel asks for a neighbour once in a second, which would be what is measured.
        let interval = "/proc/sys/net/ipv4/neigh/\(network)/retrans_time_ms"
        try "20".write(toFile: interval, atomically: false, encoding: .utf8)
        let times = try (0..<rounds).map { _ in
            host.settle()
            try host.apus(
                "launch", image, "c1", "-d", "eth0,type=nic,network=\(network),ipv4.address=\(address)")
            let before = ContinuousClock.now
            // It gives up when nobody knows the address, after three of those intervals.
            let deadline = before + .seconds(30)
            while (try? BenchHost.run(["ping", "-q", "-c", "1", "-W", "1", address])) == nil {
                guard ContinuousClock.now < deadline else {
                    throw BenchError(description: "waited 30 s for an answer of \(address)")
                }
            }
            let time = (ContinuousClock.now - before) / .seconds(1)
            try host.apus("delete", "c1", "--force")
            return time
        }
        return [
            Figure(
                name: "answers a ping, after launch has returned", values: times, unit: "s", goal: 1.0,
                peer: "")
        ]
    }

    private func standingStill() throws -> [Figure] {
        try host.apus("launch", image, "c1", "--network", network)
        try BenchHost.wait(for: "systemd to have started everything") {
            let state = (try? host.apus("exec", "c1", "--", "systemctl", "is-system-running")) ?? ""
            return state == "running" || state == "degraded"
        }
        try host.apus("file", "push", guest, "c1/usr/local/bin/guest", "--mode", "755")
        let times = try (0..<rounds).map { _ in
            try host.apus(
                "exec", "c1", "--", "systemd-run", "--quiet", "--collect", "--unit=gaps",
                "/usr/local/bin/guest", "gaps", "/root/gaps")
            host.settle()
            try host.apus("snapshot", "c1", "s", "--stateful")
            try host.apus("exec", "c1", "--", "systemctl", "stop", "gaps")
            let longest = try host.apus("exec", "c1", "--", "head", "-n1", "/root/gaps")
            try host.apus("delete", "c1/s")
            return (Double(longest) ?? .nan) / 1_000_000
        }
        try host.apus("delete", "c1", "--force")
        return [
            Figure(
                name: "stateful snapshot with a NIC: stands still", values: times, unit: "s", goal: 0.12,
                peer: "")
        ]
    }

    private func startMany() throws -> [Figure] {
        let names = (1...many).map { "n\($0)" }
        for name in names { try host.apus("init", small, name, "--network", network) }
        host.settle()
        let time = try names.map { try host.time("start", $0) }.reduce(0, +)
        try host.apus(["delete", "--force"] + names)
        return [
            Figure(
                name: "start \(many) small ones with NICs, one after another", values: [time], unit: "s",
                goal: 6,
                peer: "14 s")
        ]
    }
}
