import LinuxSystem
import Networking

/// Every key of a network. The reference is made from this table.
public enum NetworkKeys {
    private static func truth(_ name: String, _ fallback: String, _ summary: String) -> ConfigKey {
        ConfigKey(name, .bool, default: fallback, live: true, summary)
    }

    /// The table.
    public static let all: [ConfigKey] = [
        ConfigKey("bridge.hwaddr", .text, default: "made once", live: false, "The bridge's own address"),
        ConfigKey(
            "bridge.driver", .word(["native"]), default: "native", live: true,
            "The kernel's own bridge; `openvswitch` is not there"),
        ConfigKey(
            "bridge.external_interfaces", .text, live: true,
            "Interfaces of the machine, without addresses, that become ports of the bridge (several with commas)"
        ),
        ConfigKey(
            "bridge.mode", .word(["standard"]), default: "standard", live: true,
            "An ordinary bridge; `fan` is not there"),
        ConfigKey(
            "bridge.mtu", .integer(1280...65_535), default: "1500", live: true,
            "The most bytes a packet can have"),
        ConfigKey("dns.domain", .text, default: "apus", live: true, "The domain of the containers' names"),
        ConfigKey(
            "dns.mode", .word(["managed", "dynamic", "none"]), default: "managed", live: true,
            "`managed`: names are the containers'; `dynamic`: what they call themselves; `none`: no DNS"),
        ConfigKey(
            "ipv4.address", .text, default: "auto", live: true,
            "Its address and network (`10.0.3.1/24`), `auto` for one that is free, or `none`"),
        truth("ipv4.dhcp", "true", "Whether addresses are handed out"),
        ConfigKey(
            "ipv4.dhcp.expiry", .text, default: "1h", live: true, "How long an address is lent (`30m`, `1h`)"),
        ConfigKey(
            "ipv4.dhcp.ranges", .text, default: "all", live: true,
            "The ranges handed out (`10.0.3.50-10.0.3.99`, several with commas)"),
        truth("ipv4.firewall", "true", "Whether rules are made that let DHCP, DNS and forwarding through"),
        truth(
            "ipv4.nat", "true for a chosen address",
            "Whether what leaves the machine gets the machine's address"),
        ConfigKey(
            "ipv4.routes", .text, live: true,
            "More networks that are routed to the bridge (`10.9.0.0/16`, several with commas)"),
        truth("ipv4.routing", "true", "Whether the machine is made to forward packets"),
        ConfigKey(
            "ipv6.address", .text, default: "auto", live: true,
            "Its address and network (`fd42:1:2:3::1/64`), `auto` for one that is free, or `none`"),
        truth("ipv6.dhcp", "true", "Whether addresses are announced, or handed out"),
        ConfigKey(
            "ipv6.dhcp.expiry", .text, default: "1h", live: true, "How long an address is lent (`30m`, `1h`)"),
        ConfigKey(
            "ipv6.dhcp.ranges", .text, default: "all", live: true,
            "The ranges handed out, with `ipv6.dhcp.stateful` (`fd42:1:2:3::50-fd42:1:2:3::99`)"),
        truth("ipv6.dhcp.stateful", "false", "Whether addresses are handed out one by one"),
        truth("ipv6.firewall", "true", "Whether rules are made that let DHCP, DNS and forwarding through"),
        truth(
            "ipv6.nat", "true for a chosen address",
            "Whether what leaves the machine gets the machine's address"),
        ConfigKey(
            "ipv6.routes", .text, live: true,
            "More networks that are routed to the bridge (`fd42:9::/64`, several with commas)"),
        truth("ipv6.routing", "true", "Whether the machine is made to forward packets"),
        ConfigKey(
            "raw.dnsmasq", .text, live: true, "More lines for the configuration of dnsmasq, as they are"),
        ConfigKey(
            "tunnel.NAME.group", .text, default: "239.0.0.1", live: true,
            "The multicast group of the hosts it connects, if no `remote` is given"),
        ConfigKey(
            "tunnel.NAME.id", .integer(0...16_777_215), default: "1", live: true,
            "The number of the virtual network"),
        ConfigKey(
            "tunnel.NAME.interface", .text, default: "that of the default route", live: true,
            "The interface of the machine that it goes through"),
        ConfigKey(
            "tunnel.NAME.local", .text, default: "the kernel's choice", live: true,
            "This machine's address in it"),
        ConfigKey("tunnel.NAME.port", .integer(1...65_535), default: "8472", live: true, "Its UDP port"),
        ConfigKey(
            "tunnel.NAME.protocol", .word(["vxlan"]), live: true,
            "Makes the tunnel, as the interface `<network>-NAME`; `gre` is not there"),
        ConfigKey("tunnel.NAME.remote", .text, live: true, "The other machine it leads to"),
        ConfigKey("user.*", .text, live: true, "Free for users"),
        ConfigKey(
            "volatile.bridge.hwaddr", .text, live: false, owner: .daemon, "The address made for the bridge"),
    ]

    /// Keys of LXD that make no sense here, and why.
    static let refused: [(prefix: String, reason: String)] = [
        (
            "fan.",
            "the fan needs a kernel with Ubuntu's own changes; use tunnel.NAME.protocol=vxlan"
        ),
        ("maas.", "there is no MAAS"),
    ]

    /// The reference's table, as docs/reference/networks.md has it.
    public static func markdown() -> String {
        var text = "| key | type | default | what it does |\n|---|---|---|---|\n"
        for key in all {
            text += "| `\(key.name)` | \(key.kind.name) | \(key.defaultValue) | \(key.summary) |\n"
        }
        text += "\n| refused | why |\n|---|---|\n"
        for (prefix, reason) in refused { text += "| `\(prefix)*` | \(reason) |\n" }
        return text
    }

    /// Refuses unknown keys and wrong values.
    static func check(_ config: [String: String], old: [String: String] = [:]) throws {
        for (key, value) in config.sorted(by: { $0.key < $1.key }) where old[key] != value {
            if let (_, reason) = refused.first(where: { key.hasPrefix($0.prefix) }), !value.isEmpty {
                throw ServiceError.badRequest("\"\(key)\" cannot be set: \(reason)")
            }
            guard let entry = entry(key), entry.owner != .daemon else {
                throw ServiceError.badRequest(
                    "Unknown or read-only key \"\(key)\" for a network of type bridge")
            }
            let isText = key == "raw.dnsmasq"
            let hasControls = value.unicodeScalars.contains { $0.value < 32 && !(isText && $0 == "\n") }
            guard value.utf8.count <= 4096, !hasControls else {
                throw ServiceError.badRequest(
                    "The value of \"\(key)\" is too long, or has control characters")
            }
            guard !value.isEmpty else { continue }
            if let problem = entry.kind.problem(value) ?? problem(key, value) {
                throw ServiceError.badRequest("Invalid value for \"\(key)\": \"\(value)\" \(problem)")
            }
        }
    }

    /// The table's entry for a key. Each tunnel has a name of its own.
    private static func entry(_ key: String) -> ConfigKey? {
        let parts = key.split(separator: ".", omittingEmptySubsequences: false)
        let general =
            parts.count == 3 && parts[0] == "tunnel" && !parts[1].isEmpty ? "tunnel.NAME.\(parts[2])" : key
        return all.first { $0.matches(general) }
    }

    private static func problem(_ key: String, _ value: String) -> String? {
        switch key {
        case "ipv4.address", "ipv6.address":
            if value == "auto" || value == "none" { return nil }
            let isIPv6 = key == "ipv6.address"
            guard let network = IPNetwork(value), network.isIPv6 == isIPv6, network.isHost else {
                return
                    "is not an address with its network such as \"\(isIPv6 ? "fd42:1:2:3::1/64" : "10.0.3.1/24")\""
            }
            return isIPv6 && network.prefix != 64
                ? "does not have a prefix of 64 bits, which containers need" : nil
        case "bridge.hwaddr":
            return LinkNames.isAddress(value) ? nil : "is not an address such as \"00:16:3e:01:02:03\""
        case "dns.domain":
            return Names.isDomain(value) ? nil : "is not a domain such as \"apus\""
        case "ipv4.dhcp.expiry", "ipv6.dhcp.expiry":
            let number = value.dropLast()
            return "smhdw".contains(value.last ?? " ") && (Int(number) ?? 0) > 0
                ? nil : "is not a time such as \"30m\" or \"1h\""
        case "ipv4.dhcp.ranges", "ipv6.dhcp.ranges":
            let isIPv6 = key == "ipv6.dhcp.ranges"
            let isGood = value.split(separator: ",", omittingEmptySubsequences: false).allSatisfy { part in
                let ends = part.filter { $0 != " " }.split(separator: "-", omittingEmptySubsequences: false)
                return ends.count == 2
                    && ends.allSatisfy { IPText.bytes(String($0))?.count == (isIPv6 ? 16 : 4) }
            }
            let example = isIPv6 ? "fd42:1:2:3::50-fd42:1:2:3::99" : "10.0.3.50-10.0.3.99"
            return isGood ? nil : "is not a list of ranges such as \"\(example)\""
        case "ipv4.routes", "ipv6.routes":
            return subnetsProblem(value, isIPv6: key == "ipv6.routes")
        case let key where key.hasPrefix("tunnel."):
            switch key.split(separator: ".").last {
            case "group", "local", "remote":
                return IPText.bytes(value)?.count == 4 ? nil : "is not an address such as \"192.0.2.1\""
            case "interface": return LinkNames.problem(value)
            default: return nil
            }
        case "bridge.external_interfaces":
            for name in list(value) {
                if let problem = LinkNames.problem(name) { return "has \"\(name)\", which \(problem)" }
            }
            return nil
        default: return nil
        }
    }

    /// The parts of a list with commas.
    static func list(_ text: String) -> [String] {
        text.split(separator: ",").map { String($0).trimmingSpaces }.filter { !$0.isEmpty }
    }

    /// The networks in a list such as `10.1.0.0/16, 10.2.3.4/32`; what is none is left out.
    static func subnets(_ text: String) -> [IPNetwork] { list(text).compactMap { IPNetwork($0) } }

    /// What is wrong with a list of networks, as the end of a sentence; nil if nothing is.
    static func subnetsProblem(_ text: String, isIPv6: Bool) -> String? {
        let isGood = list(text).allSatisfy { part in
            IPNetwork(part).map { $0.isIPv6 == isIPv6 && $0.network == $0.description && $0.prefix > 0 }
                ?? false
        }
        return isGood
            ? nil : "is not a list of networks such as \"\(isIPv6 ? "fd42:9::/64" : "10.9.0.0/16")\""
    }
}
