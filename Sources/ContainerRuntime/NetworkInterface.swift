public import LinuxSystem

/// An interface of a container.
public struct NetworkInterface: Sendable, Hashable, Codable {
    /// Where it comes from.
    public enum Kind: String, Sendable, Hashable, Codable {
        /// One end of a pair, the other of which is the host's.
        case veth
        /// A second address on one of the host's interfaces.
        case macvlan
    }

    /// Where it comes from.
    public var kind: Kind
    /// Its name inside.
    public var name: String
    /// Its address; nil for any.
    public var address: String?
    /// The most bytes a packet can have; nil for what its bridge or parent has.
    public var mtu: UInt32?
    /// A pair: the host's end. Macvlan: the host's interface it is on.
    public var hostName: String
    /// The bridge that the host's end is a port of.
    public var bridge: String?

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
    public func make(in namespace: FileDescriptor) throws {
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
            try bringHostEndUp(control)
        case .macvlan:
            try control.makeMacvlan(inner, on: try parent(control), in: namespace)
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
            try bringHostEndUp(control)
        case .macvlan:
            try control.makeMacvlan(inner, on: try parent(control), in: namespace)
        }
    }

    /// Makes the host's end a port of its bridge.
    public func connect() throws {
        guard kind == .veth else { return }
        let control = try LinkControl()
        guard let bridge = try bridgeLink(control), let link = try control.link(hostName) else { return }
        try control.change(
            link.index, { $0.master = bridge.index }, "connect \(hostName) to \(bridge.name)")
    }

    /// Lets packets through to the container, or none at all. Nobody inside notices; what is sent meanwhile is lost.
    public func pass(_ open: Bool) throws {
        guard kind == .veth, bridge != nil else { return }
        let control = try LinkControl()
        guard let link = try control.link(hostName), link.master != 0 else { return }
        // With nobody at the other end the kernel opens it by itself when somebody comes.
        if open, !link.isRunning { return }
        try control.setPort(link.index, forwarding: open)
    }

    /// Takes it away from the host's side. One that is not there is no error.
    public func remove() throws {
        if kind == .veth { try LinkControl().remove(hostName) }
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
                .startFailed, "the interface \(hostName) that \(name) is to be on is not there")
        }
        return link
    }
}
