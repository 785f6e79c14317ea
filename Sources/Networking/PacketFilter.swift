import LinuxSystem

/// A network's own table in nftables. No other table is ever touched.
public enum PacketFilter {
    /// The table of a network, as `nft` reads it; it replaces the one that is there.
    public static func rules(_ plan: BridgePlan) -> String {
        var input: [String] = []
        var output: [String] = []
        var forward: [String] = []
        var nat: [String] = []
        let bridge = "\"\(plan.name)\""
        if plan.ipv4 != nil, plan.ipv4Firewall {
            input += [
                "iifname \(bridge) udp dport { 53, 67 } accept", "iifname \(bridge) tcp dport 53 accept",
            ]
            output += [
                "oifname \(bridge) udp sport { 53, 67 } accept", "oifname \(bridge) tcp sport 53 accept",
            ]
            forward += [
                "ip version 4 oifname \(bridge) accept", "ip version 4 iifname \(bridge) accept",
            ]
        }
        if plan.ipv6 != nil, plan.ipv6Firewall {
            input.append("iifname \(bridge) udp dport { 53, 547 } accept")
            input.append("iifname \(bridge) tcp dport 53 accept")
            input.append(
                "iifname \(bridge) icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept"
            )
            output.append("oifname \(bridge) udp sport { 53, 547 } accept")
            output.append("oifname \(bridge) tcp sport 53 accept")
            output.append(
                "oifname \(bridge) icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept"
            )
            forward += [
                "ip6 version 6 oifname \(bridge) accept", "ip6 version 6 iifname \(bridge) accept",
            ]
        }
        if let ipv4 = plan.ipv4, plan.ipv4NAT {
            nat.append("ip saddr \(ipv4.network) ip daddr != \(ipv4.network) masquerade")
        }
        if let ipv6 = plan.ipv6, plan.ipv6NAT {
            nat.append("ip6 saddr \(ipv6.network) ip6 daddr != \(ipv6.network) masquerade")
        }
        func chain(_ name: String, _ hook: String, _ rules: [String]) -> String {
            rules.isEmpty
                ? "" : "  chain \(name) {\n    type \(hook);\n    \(rules.joined(separator: "\n    "))\n  }\n"
        }
        return """
            add table inet \(plan.table)
            delete table inet \(plan.table)
            table inet \(plan.table) {
            \(chain("input", "filter hook input priority 0", input))\
            \(chain("output", "filter hook output priority 0", output))\
            \(chain("forward", "filter hook forward priority 0", forward))\
            \(chain("postrouting", "nat hook postrouting priority 100", nat))\
            }

            """
    }

    /// Puts the table of a network in place, all of it or nothing.
    public static func apply(_ plan: BridgePlan) async throws {
        try await HelperProgram.succeed(["nft", "-f", "-"], input: Array(rules(plan).utf8))
    }

    /// Removes a table. One that is not there is no error.
    public static func remove(table: String) async throws {
        let text = "add table inet \(table)\ndelete table inet \(table)\n"
        try await HelperProgram.succeed(["nft", "-f", "-"], input: Array(text.utf8))
    }

    /// Why nftables cannot be used here; nil if it can.
    public static func problem() async -> String? {
        do {
            try await HelperProgram.succeed(["nft", "list", "tables"])
            return nil
        } catch {
            return "nftables does not work on this machine (\(error)); install the package nftables"
        }
    }
}
