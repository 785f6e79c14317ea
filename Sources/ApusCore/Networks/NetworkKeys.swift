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
        truth("ipv4.routing", "true", "Whether the machine is made to forward packets"),
        ConfigKey(
            "ipv6.address", .text, default: "auto", live: true,
            "Its address and network (`fd42:1:2:3::1/64`), `auto` for one that is free, or `none`"),
        truth("ipv6.dhcp", "true", "Whether addresses are announced, or handed out"),
        truth("ipv6.dhcp.stateful", "false", "Whether addresses are handed out one by one"),
        truth("ipv6.firewall", "true", "Whether rules are made that let DHCP, DNS and forwarding through"),
        truth(
            "ipv6.nat", "true for a chosen address",
            "Whether what leaves the machine gets the machine's address"),
        truth("ipv6.routing", "true", "Whether the machine is made to forward packets"),
        ConfigKey("user.*", .text, live: true, "Free for users"),
        ConfigKey(
            "volatile.bridge.hwaddr", .text, live: false, owner: .daemon, "The address made for the bridge"),
    ]

    /// The reference's table, as docs/reference/networks.md has it.
    public static func markdown() -> String {
        var text = "| key | type | default | what it does |\n|---|---|---|---|\n"
        for key in all {
            text += "| `\(key.name)` | \(key.kind.name) | \(key.defaultValue) | \(key.summary) |\n"
        }
        return text
    }

    /// Refuses unknown keys and wrong values.
    static func check(_ config: [String: String], old: [String: String] = [:]) throws {
        for (key, value) in config.sorted(by: { $0.key < $1.key }) where old[key] != value {
            guard let entry = all.first(where: { $0.matches(key) }), entry.owner != .daemon else {
                throw ServiceError.badRequest(
                    "Unknown or read-only key \"\(key)\" for a network of type bridge")
            }
            guard value.utf8.count <= 4096, !value.unicodeScalars.contains(where: { $0.value < 32 }) else {
                throw ServiceError.badRequest(
                    "The value of \"\(key)\" is too long, or has control characters")
            }
            guard !value.isEmpty else { continue }
            if let problem = entry.kind.problem(value) ?? problem(key, value) {
                throw ServiceError.badRequest("Invalid value for \"\(key)\": \"\(value)\" \(problem)")
            }
        }
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
        case "ipv4.dhcp.expiry":
            let number = value.dropLast()
            return "smhdw".contains(value.last ?? " ") && (Int(number) ?? 0) > 0
                ? nil : "is not a time such as \"30m\" or \"1h\""
        case "ipv4.dhcp.ranges":
            let isGood = value.split(separator: ",", omittingEmptySubsequences: false).allSatisfy { part in
                let ends = part.filter { $0 != " " }.split(separator: "-", omittingEmptySubsequences: false)
                return ends.count == 2 && ends.allSatisfy { IPNetwork("\($0)/32")?.isIPv6 == false }
            }
            return isGood ? nil : "is not a list of ranges such as \"10.0.3.50-10.0.3.99\""
        default: return nil
        }
    }
}
