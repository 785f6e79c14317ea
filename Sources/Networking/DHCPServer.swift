public import LinuxSystem
import Glibc

/// The dnsmasq of a network: hands out addresses, and answers for the containers' names. It outlives the daemon.
public struct DHCPServer: Sendable {
    private let plan: BridgePlan

    /// The server of a network.
    public init(_ plan: BridgePlan) { self.plan = plan }

    private var configuration: String { plan.directory + "/dnsmasq.conf" }
    private var pidFile: String { plan.directory + "/dnsmasq.pid" }
    private var hosts: String { plan.directory + "/hosts" }
    private var leaseFile: String { plan.directory + "/dnsmasq.leases" }

    /// A container's interface: it always gets the same name, and an address if one was chosen for it.
    public struct Host: Sendable, Hashable {
        /// The name of its file: container and device.
        public var key: String
        /// The interface's address.
        public var address: String
        /// The name.
        public var name: String
        /// Addresses chosen by hand.
        public var ipv4: String?, ipv6: String?

        /// A container's interface.
        public init(key: String, address: String, name: String, ipv4: String? = nil, ipv6: String? = nil) {
            self.key = key
            self.address = address
            self.name = name
            self.ipv4 = ipv4
            self.ipv6 = ipv6
        }
    }

    /// The configuration file.
    public func text() -> String {
        var lines = [
            "keep-in-foreground", "bind-dynamic", "except-interface=lo", "interface=\(plan.name)",
            "pid-file=\(pidFile)", "dhcp-leasefile=\(leaseFile)", "dhcp-hostsfile=\(hosts)",
            "dhcp-no-override", "dhcp-authoritative", "no-ping", "no-hosts", "log-facility=-", "quiet-dhcp",
            "quiet-dhcp6", "quiet-ra", "strict-order", "user=nobody",
        ]
        if let mtu = plan.mtu { lines.append("dhcp-option-force=26,\(mtu)") }
        if plan.dnsMode == "none" {
            lines.append("port=0")
        } else {
            lines += ["domain=\(plan.domain)", "local=/\(plan.domain)/", "dhcp-fqdn"]
            let addresses = [plan.ipv4?.address, plan.ipv6?.address].compactMap { $0 }
            lines.append("host-record=_gateway.\(plan.domain),\(addresses.joined(separator: ","))")
        }
        if plan.dnsMode == "managed" { lines.append("dhcp-ignore-names=tag:!known") }
        if let ipv4 = plan.ipv4 {
            lines.append("listen-address=\(ipv4.address)")
            if plan.ipv4DHCP {
                let ranges = Self.ranges(plan.ipv4Ranges) ?? ["\(ipv4.range.first),\(ipv4.range.last)"]
                lines += ranges.map { "dhcp-range=\($0),\(plan.leaseTime)" }
            }
        }
        if let ipv6 = plan.ipv6 {
            lines.append("listen-address=\(ipv6.address)")
            if plan.ipv6DHCP {
                lines.append("enable-ra")
                let ranges = Self.ranges(plan.ipv6Ranges) ?? ["\(ipv6.range.first),\(ipv6.range.last)"]
                lines +=
                    plan.ipv6Stateful
                    ? ranges.map { "dhcp-range=\($0),\(ipv6.prefix),\(plan.ipv6LeaseTime)" }
                    : ["dhcp-range=::,constructor:\(plan.name),ra-stateless,ra-names"]
            }
        }
        if !plan.rawDnsmasq.isEmpty { lines.append(plan.rawDnsmasq) }
        return lines.joined(separator: "\n") + "\n"
    }

    /// `a-b, c-d` as dnsmasq has it.
    private static func ranges(_ text: String?) -> [String]? {
        text?.split(separator: ",").map { $0.filter { $0 != " " }.replacing("-", with: ",") }
    }

    /// Starts it, or again if its configuration has changed. Returns the process; one that an earlier daemon started
    /// may be it.
    @discardableResult
    public func start() async throws -> ProcessDescriptor {
        for directory in [plan.directory, hosts] { try Files.makeDirectories(directory, mode: 0o755) }
        let text = text()
        let unchanged = (try? Files.text(configuration)) == text
        if unchanged, let running = running() {
            reload()
            return running
        }
        try await stop()
        try Files.replace(configuration, Array(text.utf8), mode: 0o644, sync: false)
        let log = try FileDescriptor.open(
            plan.directory + "/dnsmasq.log", O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        let child = try Spawn(
            ["dnsmasq", "--conf-file=\(configuration)"], fds: [1: log, 2: log], directory: "/"
        )
        .configured { $0.newSession = true }.start()
        // It writes its pid file when its sockets are bound; an error ends it.
        let notices = try DirectoryNotices(plan.directory)
        while !Files.exists(pidFile) {
            if try await !notices.wait(orEndOf: child) {
                let words = ((try? Files.text(plan.directory + "/dnsmasq.log", limit: 4096)) ?? "")
                    .trimmingSpaces
                _ = try? child.poll()
                throw NetworkingError(
                    "dnsmasq does not run for the network \(plan.name): "
                        + (words.isEmpty ? "it ended at once" : words))
            }
        }
        return child
    }

    /// Whether it runs: the process in its pid file, if that has our configuration.
    public func running() -> ProcessDescriptor? {
        guard let text = try? Files.text(pidFile, limit: 64), let pid = pid_t(text.trimmingSpaces),
            let process = try? ProcessDescriptor(pid: pid),
            Proc.commandLine(pid).contains("--conf-file=\(configuration)"), !process.hasEnded
        else { return nil }
        return process
    }

    /// Ends it, and waits until it has.
    public func stop() async throws {
        if let process = running() {
            process.signal(SIGTERM)
            try await process.waitUntilGone()
            _ = try? process.poll()
        }
        _ = unlink(pidFile)
    }

    /// Has it read the hosts again.
    public func reload() { running()?.signal(SIGHUP) }

    /// Takes a container's interface up, or changes it.
    public func add(_ host: Host) throws {
        try Files.makeDirectories(hosts, mode: 0o755)
        let file = "\(hosts)/\(host.key)"
        var words = [host.address]
        if let ipv4 = host.ipv4 { words.append(ipv4) }
        if let ipv6 = host.ipv6 { words.append("[\(ipv6)]") }
        words.append(host.name)
        let line = words.joined(separator: ",") + "\n"
        if (try? Files.text(file)) == line { return }
        try Files.replace(file, Array(line.utf8), mode: 0o644, sync: false)
        reload()
    }

    /// Forgets a container's interface.
    /// - Parameter release: whether its address is free at once for others, as when it is no more.
    public func remove(key: String, release: Bool) {
        let file = "\(hosts)/\(key)"
        let address = ((try? Files.text(file)) ?? "").split(separator: ",").first.map(String.init)
        if unlink(file) == 0 { reload() }
        guard release, let address, let server = plan.ipv4?.bytes, running() != nil else { return }
        for lease in leases() where lease.address == address { try? LeaseRelease.send(lease, to: server) }
    }

    /// An address that was handed out.
    public struct Lease: Sendable, Hashable {
        /// The name of who has it.
        public var name: String
        /// The interface's address.
        public var address: String
        /// The address.
        public var ip: String
        /// What the client calls itself, in hexadecimal; `*` for nothing.
        var client = "*"
    }

    /// What was handed out.
    public func leases() -> [Lease] {
        let text = (try? Files.text(leaseFile)) ?? ""
        return text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ").map(String.init)
            guard words.count >= 5, words[0] != "duid" else { return nil }
            let isIPv6 = words[2].contains(":")
            return Lease(
                name: words[3] == "*" ? "" : words[3], address: isIPv6 ? "" : words[1], ip: words[2],
                client: words[4])
        }
    }
}
