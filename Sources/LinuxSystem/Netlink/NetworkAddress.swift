import Glibc

/// An address of an interface, as the kernel describes it.
public struct NetworkAddress: Sendable, Hashable {
    /// Whether it is one of IPv6.
    public var isIPv6: Bool
    /// The interface.
    public var index: Int32
    /// Its bytes, 4 or 16.
    public var bytes: [UInt8]
    /// How many bits of it are the network's.
    public var prefix: UInt8
    /// RT_SCOPE_…: 0 is global, 253 link, 254 host.
    public var scope: UInt8
    /// The kernel's whole description, to make it again.
    public var raw: [UInt8]

    /// From the kernel's description.
    public init?(raw: [UInt8]) { self.init(NetlinkMessage(0, header: raw)) }

    init?(_ message: NetlinkMessage) {
        guard message.payload.count >= 8 else { return nil }
        let family = message.payload[0]
        guard family == 2 || family == 10 else { return nil }
        isIPv6 = family == 10
        prefix = message.payload[1]
        scope = message.payload[3]
        index = NetlinkBytes.read(message.payload, 4)
        raw = message.payload
        let attributes = NetlinkAttribute.parse(message.payload.dropFirst(8))
        // IFA_LOCAL is the address; IFA_ADDRESS that of the other end, where there is one.
        guard let value = (attributes.first { $0.type == 2 } ?? attributes.first { $0.type == 1 })?.value
        else { return nil }
        bytes = value
    }

    /// `10.0.0.1` or `fd42::1`.
    public var text: String { IPText.text(bytes) }
}

/// Texts of IP addresses.
public enum IPText {
    /// The text of 4 or 16 bytes.
    public static func text(_ bytes: [UInt8]) -> String {
        var room = [CChar](repeating: 0, count: 64)
        let family = bytes.count == 16 ? AF_INET6 : AF_INET
        guard bytes.count == 4 || bytes.count == 16,
            inet_ntop(family, bytes, &room, socklen_t(room.count)) != nil
        else { return "" }
        return String(decoding: room.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The bytes of an address; nil if it is none.
    public static func bytes(_ text: String) -> [UInt8]? {
        var room = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &room) == 1 { return Array(room.prefix(4)) }
        return inet_pton(AF_INET6, text, &room) == 1 ? room : nil
    }
}

/// Addresses and routes of a network namespace.
public struct AddressControl: Sendable {
    private let socket: NetlinkSocket

    /// Through a conversation about its namespace.
    public init(_ socket: NetlinkSocket) { self.socket = socket }

    private static let newAddress: UInt16 = 20
    private static let deleteAddress: UInt16 = 21
    private static let getAddress: UInt16 = 22
    private static let newRoute: UInt16 = 24
    private static let deleteRoute: UInt16 = 25
    private static let getRoute: UInt16 = 26
    private static let newRule: UInt16 = 32
    private static let getRule: UInt16 = 34

    /// All addresses.
    public func addresses() throws -> [NetworkAddress] {
        try socket.ask(
            NetlinkMessage(
                Self.getAddress, flags: NetlinkMessage.dump, header: [UInt8](repeating: 0, count: 8)),
            "list addresses"
        ).compactMap(NetworkAddress.init)
    }

    /// Gives an interface an address.
    public func add(_ address: [UInt8], prefix: UInt8, to index: Int32, _ name: String) throws {
        var message = NetlinkMessage(
            Self.newAddress, flags: NetlinkMessage.create | NetlinkMessage.replace,
            header: Self.header(address, prefix, index))
        message.add(2, address)
        message.add(1, address)
        if address.count == 4 {
            // The broadcast address, which `ip` leaves to its caller too.
            let host = UInt32.max >> UInt32(prefix)
            if prefix < 31 {
                let value = address.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } | host
                message.add(4, [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) })
            }
        } else {
            // IFA_FLAGS: IFA_F_NODAD; nobody else can have it.
            message.add(8, UInt32(0x02))
        }
        try socket.perform(message, "give \(name) the address \(IPText.text(address))/\(prefix)")
    }

    /// Takes an address from an interface. One that is not there is no error.
    public func remove(_ address: NetworkAddress) throws {
        var message = NetlinkMessage(
            Self.deleteAddress, header: Self.header(address.bytes, address.prefix, address.index))
        message.add(2, address.bytes)
        do {
            try socket.perform(message, "remove the address \(address.text)")
        } catch let error as SystemError where error.errno == EADDRNOTAVAIL {
        }
    }

    private static func header(_ address: [UInt8], _ prefix: UInt8, _ index: Int32) -> [UInt8] {
        [address.count == 16 ? 10 : 2, prefix, 0, 0] + NetlinkBytes.of(index)
    }

    /// A route, as the kernel describes it.
    public struct Route: Sendable, Hashable {
        /// Where it leads to; empty bytes for everywhere.
        public var destination: [UInt8]
        /// How many bits of it count.
        public var prefix: UInt8
        /// RTN_…: 1 is an ordinary one.
        public var type: UInt8
        /// The table it is in: 254 is the main one, 255 that of local addresses.
        public var table: UInt32
        /// RTPROT_…: who made it; 2 is the kernel.
        public var origin: UInt8
        /// Whether it goes through a gateway.
        public var hasGateway: Bool
        /// The interface it goes through.
        public var index: Int32
        /// The kernel's whole description, to make it again.
        public var raw: [UInt8]

        init?(_ message: NetlinkMessage) {
            guard message.payload.count >= 12 else { return nil }
            raw = message.payload
            prefix = raw[1]
            table = UInt32(raw[4])
            origin = raw[5]
            type = raw[7]
            destination = []
            hasGateway = false
            index = 0
            // RTM_F_CLONED: not a route but what came of one.
            guard (NetlinkBytes.read(raw, 8) as UInt32) & 0x200 == 0 else { return nil }
            for attribute in NetlinkAttribute.parse(raw.dropFirst(12)) {
                switch attribute.type {
                case 1: destination = attribute.value
                case 4: index = Int32(bitPattern: attribute.number)
                case 5, 18, 9: hasGateway = true
                case 15: table = attribute.number
                default: break
                }
            }
        }
    }

    /// All routes of both families.
    public func routes() throws -> [Route] {
        try [UInt8(2), 10].flatMap { family in
            try socket.ask(
                NetlinkMessage(
                    Self.getRoute, flags: NetlinkMessage.dump,
                    header: [family] + [UInt8](repeating: 0, count: 11)), "list routes"
            ).compactMap(Route.init)
        }
    }

    /// Who made a route (RTPROT_…): us. The kernel does not interpret numbers above 4.
    public static let ownOrigin: UInt8 = 201

    /// Makes a route to a network through an interface without a gateway, in place of one to the same network.
    public func addRoute(to network: [UInt8], prefix: UInt8, through index: Int32, _ name: String) throws {
        let isIPv6 = network.count == 16
        // RT_TABLE_MAIN, RT_SCOPE_LINK (IPv6 has no scopes), RTN_UNICAST.
        var message = NetlinkMessage(
            Self.newRoute, flags: NetlinkMessage.create | NetlinkMessage.replace,
            header: [
                isIPv6 ? 10 : 2, prefix, 0, 0, 254, Self.ownOrigin, isIPv6 ? 0 : 253, 1, 0, 0, 0, 0,
            ])
        message.add(1, network)
        message.add(4, NetlinkBytes.of(index))
        try socket.perform(message, "route \(IPText.text(network))/\(prefix) to \(name)")
    }

    /// Removes a route to a network through an interface. One that is not there is no error.
    public func removeRoute(to network: [UInt8], prefix: UInt8, through index: Int32) throws {
        let isIPv6 = network.count == 16
        var message = NetlinkMessage(
            Self.deleteRoute,
            header: [isIPv6 ? 10 : 2, prefix, 0, 0, 254, Self.ownOrigin, 255, 1, 0, 0, 0, 0])
        message.add(1, network)
        message.add(4, NetlinkBytes.of(index))
        do {
            try socket.perform(message, "remove the route to \(IPText.text(network))/\(prefix)")
        } catch let error as SystemError where error.errno == ESRCH {
        }
    }

    /// The rules by which routes are chosen, as the kernel describes them.
    public func rules() throws -> [[UInt8]] {
        try [UInt8(2), 10].flatMap { family in
            try socket.ask(
                NetlinkMessage(
                    Self.getRule, flags: NetlinkMessage.dump,
                    header: [family] + [UInt8](repeating: 0, count: 11)), "list rules of routing"
            ).map(\.payload)
        }
    }

    /// What is made again from the kernel's description of it.
    public enum Kind: Sendable {
        /// An address.
        case address
        /// A route.
        case route
        /// A rule of routing.
        case rule
    }

    /// Changes an address to what the kernel described.
    public func replace(_ raw: [UInt8], _ what: @autoclosure () -> String) throws {
        try socket.perform(
            NetlinkMessage(Self.newAddress, flags: NetlinkMessage.replace, header: raw), what())
    }

    /// Makes an address, route or rule as the kernel described it. One that is there is no error.
    public func replay(_ kind: Kind, _ raw: [UInt8], _ what: @autoclosure () -> String) throws {
        let type =
            switch kind {
            case .address: Self.newAddress
            case .route: Self.newRoute
            case .rule: Self.newRule
            }
        do {
            try socket.perform(
                NetlinkMessage(
                    type, flags: NetlinkMessage.create | NetlinkMessage.exclusive, header: raw), what())
        } catch let error as SystemError where error.errno == EEXIST {
        }
    }
}
