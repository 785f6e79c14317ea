import Glibc

/// Makes, changes and removes interfaces of a network namespace.
public struct LinkControl: Sendable {
    /// The conversation this goes through; addresses and routes can go through it too.
    public let socket: NetlinkSocket

    /// For the namespace of this thread, or another one.
    public init(in namespace: FileDescriptor? = nil) throws {
        socket = try NetlinkSocket(.route, in: namespace)
    }

    private static let new: UInt16 = 16
    private static let delete: UInt16 = 17
    private static let get: UInt16 = 18
    private static let set: UInt16 = 19

    /// struct ifinfomsg.
    static func header(index: Int32 = 0, family: UInt8 = 0, flags: UInt32 = 0, change: UInt32 = 0) -> [UInt8]
    {
        [family, 0, 0, 0] + NetlinkBytes.of(index) + NetlinkBytes.of(flags) + NetlinkBytes.of(change)
    }

    // MARK: Looking

    /// All interfaces.
    public func links() throws -> [NetworkLink] {
        try socket.ask(
            NetlinkMessage(Self.get, flags: NetlinkMessage.dump, header: Self.header()),
            "list network interfaces"
        ).map(NetworkLink.init)
    }

    /// An interface by its name; nil if there is none.
    public func link(_ name: String) throws -> NetworkLink? {
        var message = NetlinkMessage(Self.get, header: Self.header())
        message.add(3, name)
        do {
            return try socket.ask(message, "look for the network interface \(name)").first.map(
                NetworkLink.init)
        } catch let error as SystemError where error.errno == ENODEV {
            return nil
        }
    }

    // MARK: Making

    /// Makes a bridge.
    public func makeBridge(_ name: String, address: String, mtu: UInt32?) throws {
        var message = NetlinkMessage(
            Self.new, flags: NetlinkMessage.create | NetlinkMessage.exclusive, header: Self.header())
        message.add(3, name)
        if let bytes = LinkAddress.bytes(address) { message.add(1, bytes) }
        if let mtu { message.add(4, mtu) }
        message.addNested(18) { $0.add(1, "bridge") }
        try socket.perform(message, "make the bridge \(name)")
    }

    /// One end of a pair of interfaces.
    public struct Veth: Sendable {
        /// Its name.
        public var name: String
        /// Its number; 0 for any.
        public var index: Int32 = 0
        /// Its address; nil for any.
        public var address: String?
        /// The most bytes a packet can have; nil for 1500.
        public var mtu: UInt32?
        /// The bridge it becomes a port of; 0 for none.
        public var master: Int32 = 0
        /// Whether it is switched on.
        public var isUp = false
        /// Whether the kernel is kept from giving it an IPv6 address.
        public var withoutAddresses = false

        /// An end with this name.
        public init(_ name: String) { self.name = name }

        var header: [UInt8] {
            LinkControl.header(index: index, flags: isUp ? 1 : 0, change: isUp ? 1 : 0)
        }

        func add(to message: inout NetlinkMessage) {
            message.add(3, name)
            if let bytes = address.flatMap(LinkAddress.bytes) { message.add(1, bytes) }
            if let mtu { message.add(4, mtu) }
            if master != 0 { message.add(10, UInt32(bitPattern: master)) }
            if withoutAddresses { LinkControl.addNoAddresses(to: &message) }
        }
    }

    /// Makes a pair of interfaces, one end here and one in another namespace.
    public func makeVeth(_ here: Veth, there: Veth, in namespace: FileDescriptor) throws {
        var message = NetlinkMessage(
            Self.new, flags: NetlinkMessage.create | NetlinkMessage.exclusive, header: here.header)
        here.add(to: &message)
        message.addNested(18) { info in
            info.add(1, "veth")
            info.addNested(2) { data in
                data.addNested(1, header: there.header) { peer in
                    there.add(to: &peer)
                    peer.add(28, UInt32(bitPattern: namespace.rawValue))
                }
            }
        }
        try withExtendedLifetime(namespace) {
            try socket.perform(message, "make the interfaces \(here.name) and \(there.name)")
        }
    }

    /// An interface whose packets travel to other hosts in datagrams (VXLAN, RFC 7348).
    public struct VXLAN: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// The number of the virtual network, up to 24 bits.
        public var number: UInt32 = 1
        /// The other host, or the multicast group of all hosts: 4 bytes.
        public var remote: [UInt8]
        /// This host's address; nil for the kernel's choice.
        public var local: [UInt8]?
        /// The port; nil for the kernel's own, 8472.
        public var port: UInt16?
        /// The number of the interface that the datagrams go through; nil for the kernel's choice.
        public var lower: Int32?

        /// An interface to a host or group.
        public init(_ name: String, remote: [UInt8]) {
            self.name = name
            self.remote = remote
        }
    }

    /// Makes an interface to other hosts as a port of a bridge, switched on.
    public func make(_ vxlan: VXLAN, on bridge: Int32) throws {
        var message = NetlinkMessage(
            Self.new, flags: NetlinkMessage.create | NetlinkMessage.exclusive,
            header: Self.header(flags: 1, change: 1))
        message.add(3, vxlan.name)
        message.add(10, UInt32(bitPattern: bridge))
        message.addNested(18) { info in
            info.add(1, "vxlan")
            info.addNested(2) { data in
                data.add(1, vxlan.number)
                data.add(2, vxlan.remote)
                if let local = vxlan.local { data.add(4, local) }
                if let lower = vxlan.lower { data.add(3, UInt32(bitPattern: lower)) }
                if let port = vxlan.port { data.add(15, NetlinkBytes.of(port.bigEndian)) }
            }
        }
        try socket.perform(message, "make the tunnel \(vxlan.name)")
    }

    /// What comes in through an interface that shares another one's wire.
    public enum MacvlanMode: UInt32, Sendable {
        /// What is sent to its address.
        case open = 4
        /// What comes from chosen senders; there are none, so that nothing comes in.
        case closed = 16
    }

    /// Makes an interface that shares another one's wire, in another namespace.
    public func makeMacvlan(
        _ there: Veth, on parent: NetworkLink, in namespace: FileDescriptor, mode: MacvlanMode = .open
    ) throws {
        var message = NetlinkMessage(
            Self.new, flags: NetlinkMessage.create | NetlinkMessage.exclusive, header: there.header)
        there.add(to: &message)
        message.add(5, UInt32(bitPattern: parent.index))
        message.add(28, UInt32(bitPattern: namespace.rawValue))
        message.addNested(18) { info in
            info.add(1, "macvlan")
            info.addNested(2) { $0.add(1, mode.rawValue) }
        }
        try withExtendedLifetime(namespace) {
            try socket.perform(message, "make the interface \(there.name) on \(parent.name)")
        }
    }

    /// Changes what comes in through an interface that shares another one's wire.
    public func setMacvlan(_ index: Int32, _ mode: MacvlanMode) throws {
        var message = NetlinkMessage(Self.new, header: Self.header(index: index))
        message.addNested(18) { info in
            info.add(1, "macvlan")
            info.addNested(2) { $0.add(1, mode.rawValue) }
        }
        try socket.perform(message, "\(mode == .open ? "open" : "close") the interface \(index)")
    }

    /// IFLA_AF_SPEC, AF_INET6, IFLA_INET6_ADDR_GEN_MODE = none.
    static func addNoAddresses(to message: inout NetlinkMessage) {
        message.addNested(26) { $0.addNested(10) { $0.add(8, [1]) } }
    }

    // MARK: Changing

    /// What can be changed of an interface; nil is left as it is.
    public struct Change: Sendable {
        /// Its name; it must be down.
        public var name: String?
        /// Its address.
        public var address: String?
        /// The most bytes a packet can have.
        public var mtu: UInt32?
        /// The bridge it is a port of; 0 for none.
        public var master: Int32?
        /// Whether it is switched on.
        public var isUp: Bool?
        /// The namespace it moves to.
        public var namespace: FileDescriptor?
        /// Whether the kernel is kept from giving it an IPv6 address.
        public var withoutAddresses = false
        /// The length of its queue.
        public var queueLength: UInt32?

        /// No change.
        public init() {}
    }

    /// Changes an interface.
    public func change(_ index: Int32, _ edit: (inout Change) -> Void, _ what: @autoclosure () -> String)
        throws
    {
        var change = Change()
        edit(&change)
        let up = change.isUp.map { $0 ? UInt32(1) : 0 }
        var message = NetlinkMessage(
            Self.new, header: Self.header(index: index, flags: up ?? 0, change: up == nil ? 0 : 1))
        if let name = change.name { message.add(3, name) }
        if let bytes = change.address.flatMap(LinkAddress.bytes) { message.add(1, bytes) }
        if let mtu = change.mtu { message.add(4, mtu) }
        if let length = change.queueLength { message.add(13, length) }
        if let master = change.master { message.add(10, UInt32(bitPattern: master)) }
        if let namespace = change.namespace { message.add(28, UInt32(bitPattern: namespace.rawValue)) }
        if change.withoutAddresses { Self.addNoAddresses(to: &message) }
        try withExtendedLifetime(change) { try socket.perform(message, what()) }
    }

    /// Lets a port of a bridge pass packets, or none at all. The interface at the other end does not notice.
    public func setPort(_ index: Int32, forwarding: Bool) throws {
        let bridge: UInt8 = 7
        var message = NetlinkMessage(Self.set, header: Self.header(index: index, family: bridge))
        message.addNested(12 | 0x8000) { $0.add(1, [forwarding ? 3 : 0]) }
        try socket.perform(message, "\(forwarding ? "open" : "close") port \(index) of its bridge")
    }

    /// Removes an interface. One that is not there is no error.
    public func remove(_ name: String) throws {
        var message = NetlinkMessage(Self.delete, header: Self.header())
        message.add(3, name)
        do {
            try socket.perform(message, "remove the network interface \(name)")
        } catch let error as SystemError where error.errno == ENODEV {
        }
    }
}
