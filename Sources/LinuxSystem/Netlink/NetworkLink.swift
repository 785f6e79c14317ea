/// An interface, as the kernel describes it.
public struct NetworkLink: Sendable, Hashable {
    /// Its number, unique within its namespace.
    public var index: Int32 = 0
    /// Its name.
    public var name = ""
    /// `veth`, `bridge`, `macvlan` …; empty for hardware and `lo`.
    public var kind = ""
    /// A macvlan's mode.
    public var macvlanMode: LinkControl.MacvlanMode?
    /// ARPHRD_…: 1 is Ethernet, 772 is `lo`.
    public var hardwareType: UInt16 = 0
    /// Its address, such as `00:16:3e:01:02:03`; empty if it has none.
    public var address = ""
    /// The most bytes a packet can have.
    public var mtu: UInt32 = 0
    /// IFF_…
    public var flags: UInt32 = 0
    /// The bridge it is a port of; 0 for none.
    public var master: Int32 = 0
    /// The interface it is on top of, or the other end of a veth; 0 for none.
    public var lower: Int32 = 0
    /// The length of its queue.
    public var queueLength: UInt32 = 0
    /// IF_OPER_…: 6 is up.
    public var operationalState: UInt8 = 0
    /// Counters, received and sent.
    public var received = Counters()
    /// Counters, received and sent.
    public var sent = Counters()

    /// What went through an interface in one direction.
    public struct Counters: Sendable, Hashable {
        /// Bytes, packets, errors and dropped packets.
        public var bytes: UInt64 = 0, packets: UInt64 = 0, errors: UInt64 = 0, dropped: UInt64 = 0
    }

    /// Whether it was switched on.
    public var isUp: Bool { flags & 1 != 0 }
    /// Whether it is `lo`.
    public var isLoopback: Bool { flags & 8 != 0 }
    /// Whether there is somebody at the other end.
    public var isRunning: Bool { flags & 0x40 != 0 }

    init(_ message: NetlinkMessage) {
        hardwareType = NetlinkBytes.read(message.payload, 2)
        index = NetlinkBytes.read(message.payload, 4)
        flags = NetlinkBytes.read(message.payload, 8)
        for attribute in NetlinkAttribute.parse(message.payload.dropFirst(16)) {
            switch attribute.type {
            case 1: address = LinkAddress.text(attribute.value)
            case 3: name = attribute.text
            case 4: mtu = attribute.number
            case 5: lower = Int32(bitPattern: attribute.number)
            case 10: master = Int32(bitPattern: attribute.number)
            case 13: queueLength = attribute.number
            case 16: operationalState = attribute.value.first ?? 0
            case 18: readKind(NetlinkAttribute.parse(attribute.value))
            case 23:
                let numbers = (0..<8).map { NetlinkBytes.read(attribute.value, $0 * 8) as UInt64 }
                received = Counters(
                    bytes: numbers[2], packets: numbers[0], errors: numbers[4], dropped: numbers[6])
                sent = Counters(
                    bytes: numbers[3], packets: numbers[1], errors: numbers[5], dropped: numbers[7])
            default: break
            }
        }
    }

    private mutating func readKind(_ attributes: [NetlinkAttribute]) {
        kind = attributes.first { $0.type == 1 }?.text ?? ""
        guard kind == "macvlan", let data = attributes.first(where: { $0.type == 2 })?.value else { return }
        macvlanMode = NetlinkAttribute.parse(data).first { $0.type == 1 }.flatMap {
            LinkControl.MacvlanMode(rawValue: $0.number)
        }
    }
}

/// Addresses of interfaces, such as `00:16:3e:01:02:03`.
public enum LinkAddress {
    /// The bytes of an address; nil if it is none of six bytes.
    public static func bytes(_ text: String) -> [UInt8]? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 6 else { return nil }
        let bytes = parts.compactMap { $0.utf8.count == 2 ? UInt8($0, radix: 16) : nil }
        return bytes.count == 6 ? bytes : nil
    }

    /// The text of an address.
    public static func text(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.utf8.count == 1 ? "0" + digits : digits
        }.joined(separator: ":")
    }
}
