public import LinuxSystem

/// An interface of a container.
public struct NetworkInterface: Sendable, Hashable, Codable {
    /// Where it comes from.
    public enum Kind: String, Sendable, Hashable, Codable {
        /// One end of a pair, the other of which is the host's.
        case veth
        /// A second address on one of the host's interfaces.
        case macvlan
        /// One of the host's interfaces itself, for as long as the container runs.
        case physical
    }

    /// Where it comes from.
    public var kind: Kind
    /// Its name inside.
    public var name: String
    /// Its address; nil for any.
    public var address: String?
    /// The most bytes a packet can have; nil for what its bridge or parent has.
    public var mtu: UInt32?
    /// A pair: the host's end. Macvlan: the host's interface it is on. Physical: its name on the host.
    public var hostName: String
    /// The bridge that the host's end is a port of.
    public var bridge: String?
    /// A pair: what is let through between the two ends; nil for everything.
    public var rules: InterfaceRules?
    /// A pair on no bridge: networks that the host reaches through it, such as `10.1.2.3/32`.
    public var routes: [String]?

    /// An interface.
    public init(
        kind: Kind, name: String, address: String?, mtu: UInt32? = nil, hostName: String,
        bridge: String? = nil
    ) {
        self.kind = kind
        self.name = name
        self.address = address
        self.mtu = mtu
        self.hostName = hostName
        self.bridge = bridge
    }
}

extension NetworkInterface {
    /// Makes it in a network namespace, switched on and connected.
    /// - Parameter directory: the runtime directory of the container, where it is noted what has to go back to the host.
    public func make(in namespace: FileDescriptor, notedIn directory: String) throws {
        let control = try LinkControl()
        let bridge = try bridgeLink(control)
        var inner = LinkControl.Veth(name)
        inner.address = address
        inner.mtu = mtu ?? bridge?.mtu
        switch kind {
        case .veth:
            var outer = LinkControl.Veth(hostName)
            outer.mtu = inner.mtu
            outer.master = bridge?.index ?? 0
            try control.makeVeth(outer, there: inner, in: namespace)
            try applyRules()
            try bringHostEndUp(control)
            try applyRoutes()
        case .macvlan:
            try control.makeMacvlan(inner, on: try parent(control), in: namespace)
        case .physical:
            try BorrowedInterfaces(runtimeDirectory: directory).borrow(self, try parent(control), namespace)
        }
        let inside = try LinkControl(in: namespace)
        guard let link = try inside.link(name) else { return }
        try inside.change(link.index, { $0.isUp = true }, "bring \(name) up in the container")
    }

    /// Makes it again as it was, by its number too, with nobody at the other end of the wire until `connect`.
    func makeAgain(_ former: CheckpointLink, in namespace: FileDescriptor, host: FileDescriptor) throws {
        let control = try LinkControl()
        var inner = LinkControl.Veth(name)
        inner.index = former.index
        inner.address = former.address
        inner.mtu = former.mtu
        switch kind {
        case .veth:
            var outer = LinkControl.Veth(hostName)
            outer.mtu = former.mtu
            // From inside: only the end that is made there can be given a number.
            try LinkControl(in: namespace).makeVeth(inner, there: outer, in: host)
            if bridge != nil { try applyRules() } else { try hold() }
            try bringHostEndUp(control)
        case .macvlan:
            // Its address may still be that of the life before, which no two on one wire can have.
            inner.address = nil
            try control.makeMacvlan(inner, on: try parent(control), in: namespace, mode: .closed)
        case .physical:
            throw RuntimeError(
                .restoreFailed, "\(name) is an interface of the host, which no checkpoint can have")
        }
    }

    /// Lets one that was made again be reached: the host's end becomes a port of its bridge, a macvlan gets its address.
    func connect(in namespace: FileDescriptor, as former: CheckpointLink?) throws {
        let control = try LinkControl()
        switch kind {
        case .veth:
            guard let link = try control.link(hostName) else { return }
            if let bridge = try bridgeLink(control) {
                try control.change(
                    link.index, { $0.master = bridge.index }, "connect \(hostName) to \(bridge.name)")
            } else {
                try applyRules()
                try applyRoutes()
            }
        case .macvlan: try openMacvlan(in: namespace, as: former?.address ?? address)
        case .physical: return
        }
    }

    /// Takes it away from the host's side. One that is not there is no error.
    public func remove() throws {
        guard kind == .veth else { return }
        try LinkControl().remove(hostName)
        if let rules { try rules.remove() }
    }

    /// Switches the host's end on. A port of a bridge needs no address of its own.
    private func bringHostEndUp(_ control: LinkControl) throws {
        guard let link = try control.link(hostName) else { return }
        if bridge != nil { try? Files.poke("/proc/sys/net/ipv6/conf/\(hostName)/disable_ipv6", "1") }
        try control.change(link.index, { $0.isUp = true }, "bring \(hostName) up")
    }

    private func bridgeLink(_ control: LinkControl) throws -> NetworkLink? {
        guard let bridge else { return nil }
        guard let link = try control.link(bridge) else {
            throw RuntimeError(
                .startFailed,
                "the bridge \(bridge) for the interface \(name) is not there; make it, or take the device out"
            )
        }
        return link
    }

    private func parent(_ control: LinkControl) throws -> NetworkLink {
        guard let link = try control.link(hostName) else {
            throw RuntimeError(
                .startFailed,
                kind == .physical
                    ? "the host's interface \(hostName) is not there; another container may have it"
                    : "the interface \(hostName) that \(name) is to be on is not there")
        }
        return link
    }
}
