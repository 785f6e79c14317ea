import LinuxSystem

/// The kernel's rules for names of interfaces, and random addresses and names for them.
public enum LinkNames {
    /// What is wrong with a name, as the end of a sentence; nil if nothing is.
    public static func problem(_ name: String) -> String? {
        guard (2...15).contains(name.utf8.count) else {
            return "must be 2-15 characters long; the kernel allows no more"
        }
        let isGood = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
                UInt8(ascii: "."):
                true
            default: false
            }
        }
        guard isGood, !name.hasPrefix("."), !name.hasPrefix("-") else {
            return "must be made of letters, digits, \"-\", \"_\" and \".\""
        }
        guard !["lo", "all", "default"].contains(name) else { return "is a name of the kernel's own" }
        return nil
    }

    /// A new address in the range of Xen's, as LXD has it: `00:16:3e:…`.
    public static func randomAddress() -> String {
        var text = "00:16:3e"
        for _ in 0..<3 {
            let digits = String(UInt8.random(in: 0...255), radix: 16)
            text += ":" + (digits.utf8.count == 1 ? "0" : "") + digits
        }
        return text
    }

    /// A new name for the host's end of a pair: `veth1a2b3c4d`.
    public static func randomHostEnd() -> String {
        let digits = String(UInt32.random(in: 0 ... .max), radix: 16)
        return "veth" + String(repeating: "0", count: 8 - digits.utf8.count) + digits
    }
}

extension LinkNames {
    /// Whether a text is an address for one interface, such as `00:16:3e:01:02:03`.
    public static func isAddress(_ text: String) -> Bool {
        guard let bytes = LinkAddress.bytes(text) else { return false }
        return bytes[0] & 1 == 0 && bytes.contains { $0 != 0 }
    }
}
