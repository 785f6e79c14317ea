public import LinuxSystem

/// The interfaces, addresses and routes of a container, as they were.
public struct CheckpointNetwork: Sendable, Hashable, Codable {
    /// The interfaces, `lo` among them.
    public var links: [CheckpointLink] = []
    /// Addresses, as the kernel described them.
    public var addresses: [[UInt8]] = []
    /// Routes, as the kernel described them; first those that need no gateway.
    public var routes: [[UInt8]] = []
    /// Rules of routing that not every namespace has, as the kernel described them.
    public var rules: [[UInt8]] = []

    /// Reads what there is in a namespace.
    public init(in namespace: FileDescriptor) throws {
        let control = try LinkControl(in: namespace)
        let addressControl = AddressControl(control.socket)
        links = try control.links().filter { !Self.isFallback($0) }.map(CheckpointLink.init)
        let present = try addressControl.addresses()
        // The kernel lists the newest of IPv6 first.
        addresses =
            present.filter { !$0.isIPv6 }.map(\.raw)
            + present.filter(\.isIPv6).reversed().map { Self.settled($0) }
        let localTable: UInt32 = 255
        routes = try addressControl.routes().filter { $0.table != localTable }.sorted {
            !$0.hasGateway && $1.hasGateway
        }.map(Self.settled)
        rules = try addressControl.rules().filter { !Self.isStandardRule($0) }
    }

    /// Interfaces that some modules of the kernel make in every namespace; they are down, and nobody uses them.
    public static func isFallback(_ link: NetworkLink) -> Bool {
        !link.isUp
            && [
                "tunl0", "sit0", "gre0", "gretap0", "erspan0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0",
            ].contains(link.name)
    }

    /// An address as it is to come back: known to be nobody else's (no IFA_F_TENTATIVE, IFA_F_DADFAILED …).
    private static func settled(_ address: NetworkAddress) -> [UInt8] { flagged(address.raw, with: 0) }

    /// The same address with more flags.
    static func flagged(_ raw: [UInt8], with more: UInt32) -> [UInt8] {
        guard raw.count >= 8 else { return raw }
        var message = NetlinkMessage(0, header: Array(raw.prefix(8)))
        let passing: UInt32 = 0x40 | 0x08 | 0x04
        var flags = UInt32(raw[2])
        for attribute in NetlinkAttribute.parse(raw.dropFirst(8)) {
            if attribute.type == 8 {
                flags = attribute.number
            } else {
                message.add(attribute.type, attribute.value)
            }
        }
        flags = (flags & ~passing) | more
        message.payload[2] = UInt8(truncatingIfNeeded: flags)
        message.add(8, flags)
        return message.payload
    }

    /// A route as it is to come back: without flags that tell of the moment (RTNH_F_DEAD, RTNH_F_LINKDOWN …).
    private static func settled(_ route: AddressControl.Route) -> [UInt8] {
        var raw = route.raw
        let lasting: UInt32 = 0x2 | 0x4
        let flags = (NetlinkBytes.read(raw, 8) as UInt32) & lasting
        raw.replaceSubrange(8..<12, with: NetlinkBytes.of(flags))
        return raw
    }

    /// The rules for the tables local, main and default that every namespace has.
    private static func isStandardRule(_ raw: [UInt8]) -> Bool {
        guard raw.count >= 12, raw[1] == 0, raw[2] == 0 else { return false }
        let attributes = NetlinkAttribute.parse(raw.dropFirst(12))
        let priority = attributes.first { $0.type == 6 }?.number ?? 0
        let named = attributes.first { $0.type == 15 }
        let table: UInt32 = if let named { named.number } else { UInt32(raw[4]) }
        switch priority {
        case 0: return table == 255
        case 32_766: return table == 254
        case 32_767: return table == 253
        default: return false
        }
    }
}

/// An interface of a container, as it was.
public struct CheckpointLink: Sendable, Hashable, Codable {
    /// Its number.
    public var index: Int32
    /// Its name.
    public var name: String
    /// Its address; empty if it has none.
    public var address: String
    /// The most bytes a packet can have.
    public var mtu: UInt32
    /// The length of its queue.
    public var queueLength: UInt32
    /// Whether it was switched on.
    public var isUp: Bool
    /// Whether it is `lo`.
    public var isLoopback: Bool

    init(_ link: NetworkLink) {
        index = link.index
        name = link.name
        address = link.address
        mtu = link.mtu
        queueLength = link.queueLength
        isUp = link.isUp
        isLoopback = link.isLoopback
    }
}
