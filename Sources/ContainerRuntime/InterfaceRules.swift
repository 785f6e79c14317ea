import LinuxSystem

/// What is let through between the two ends of a pair of interfaces. All of it is at the host's end, where the container
/// cannot change it.
public struct InterfaceRules: Sendable, Hashable, Codable {
    /// What the container receives at most, in bits per second.
    public var ingress: UInt64?
    /// What the container sends at most, in bits per second.
    public var egress: UInt64?
    /// The only address that the container may send from.
    public var address: String?
    /// The only IPv4 address that the container may send from.
    public var ipv4: String?
    /// The table of nftables that has what cannot be done by the queue of the host's end.
    public var table: String

    /// Rules that let everything through.
    public init(table: String) { self.table = table }

    /// Whether there is a table of nftables.
    var needsTable: Bool { egress != nil || address != nil || ipv4 != nil }

    /// Puts them in place of what was there before.
    func apply(to interface: String) throws {
        let control = try LinkControl()
        guard let link = try control.link(interface) else { return }
        let traffic = try TrafficControl()
        if let ingress {
            try traffic.limit(link.index, to: ingress, interface)
        } else {
            try traffic.letAll(link.index, interface)
        }
        guard needsTable else { return try remove() }
        var filter = ArrivalFilter(table: table, interface: interface)
        filter.sender = address
        filter.senderIPv4 = ipv4
        filter.bytesPerSecond = egress.map { max($0 / 8, 1) }
        try filter.apply()
    }

    /// Removes what does not go with the interface.
    func remove() throws { try ArrivalFilter.remove(table: table) }

    /// The beginning of the names of a daemon's tables; the host's end of a pair is the rest.
    public static func tablePrefix(daemonID: String) -> String { "apus-\(daemonID)-" }

    /// Removes tables of a daemon's whose interfaces are gone: containers have ended while it did not run.
    /// - Returns: their names.
    public static func removeStale(daemonID: String) throws -> [String] {
        let prefix = tablePrefix(daemonID: daemonID)
        let control = try LinkControl()
        return try ArrivalFilter.tables().filter { table in
            guard table.hasPrefix(prefix), try control.link(String(table.dropFirst(prefix.count))) == nil
            else { return false }
            try ArrivalFilter.remove(table: table)
            return true
        }
    }
}

extension NetworkInterface {
    /// Puts the rules for what is let through in place.
    public func applyRules() throws {
        guard kind == .veth, let rules else { return }
        try rules.apply(to: hostName)
    }

    /// Routes packets for its networks to it.
    public func applyRoutes() throws {
        guard kind == .veth, let routes, !routes.isEmpty else { return }
        let control = try LinkControl()
        guard let link = try control.link(hostName) else { return }
        let table = AddressControl(control.socket)
        for (network, prefix) in routes.compactMap(Self.network) {
            try table.addRoute(to: network, prefix: prefix, through: link.index, hostName)
        }
    }

    /// Removes routes that it has no more.
    public func removeRoutes(besides kept: [String]) throws {
        let control = try LinkControl()
        guard kind == .veth, let link = try control.link(hostName) else { return }
        let table = AddressControl(control.socket)
        for (network, prefix) in (routes ?? []).filter({ !kept.contains($0) }).compactMap(Self.network) {
            try table.removeRoute(to: network, prefix: prefix, through: link.index)
        }
    }

    private static func network(_ text: String) -> (bytes: [UInt8], prefix: UInt8)? {
        let parts = text.split(separator: "/")
        guard parts.count == 2, let bytes = IPText.bytes(String(parts[0])), let prefix = UInt8(parts[1])
        else { return nil }
        return (bytes, prefix)
    }

    /// Holds back what the host's end of a pair on no bridge would pass on to the container.
    func hold() throws {
        guard let link = try LinkControl().link(hostName) else { return }
        try TrafficControl().dropAll(link.index, hostName)
    }

    /// Lets packets for an address in.
    func openMacvlan(in namespace: FileDescriptor, as address: String?) throws {
        let inside = try LinkControl(in: namespace)
        guard let link = try inside.link(name) else { return }
        if let address, address != link.address {
            try inside.change(link.index, { $0.address = address }, "give \(name) the address \(address)")
        }
        if link.macvlanMode != .open { try inside.setMacvlan(link.index, .open) }
    }

    private func closeMacvlan(in namespace: FileDescriptor) throws {
        let inside = try LinkControl(in: namespace)
        guard let link = try inside.link(name) else { return }
        // Whoever listens inside is told of each change, and CRIU saves nobody who has not heard it yet.
        if link.macvlanMode != .closed { try inside.setMacvlan(link.index, .closed) }
    }

    /// Whether the kernel tells programs inside of what `pass` does: then it is done while they can still hear it.
    public var isHeardInside: Bool { kind == .macvlan }

    /// Lets packets through to the container whose first process is `pid`, or none at all. Nobody inside notices; what is
    /// sent meanwhile is lost.
    public func pass(_ open: Bool, to pid: Int32) throws {
        switch kind {
        case .veth where bridge != nil:
            let control = try LinkControl()
            guard let link = try control.link(hostName), link.master != 0 else { return }
            // With nobody at the other end the kernel opens it by itself when somebody comes.
            if open, !link.isRunning { return }
            try control.setPort(link.index, forwarding: open)
        case .veth:
            guard open else { return try hold() }
            if let rules { return try rules.apply(to: hostName) }
            guard let link = try LinkControl().link(hostName) else { return }
            try TrafficControl().letAll(link.index, hostName)
        case .macvlan:
            let namespace = try Namespaces.open(.network, of: pid)
            if open {
                try openMacvlan(in: namespace, as: nil)
            } else {
                try closeMacvlan(in: namespace)
            }
        case .physical: return
        }
    }

    /// Takes it away from a container whose first process is `pid` and whose place another life has taken: what its
    /// sockets say at their end must not reach anybody.
    public func cutOff(pid: Int32) throws {
        guard kind == .macvlan else { return try remove() }
        try LinkControl(in: try Namespaces.open(.network, of: pid)).remove(name)
    }

    /// Gives up what no two interfaces can have at once, for one that is to take its place: a pair the name of the host's
    /// end, a macvlan its address. Returns what it is now; to be undone by the same with what it was.
    public func stepAside(of pid: Int32, for name: String) throws -> NetworkInterface {
        var changed = self
        switch kind {
        case .veth:
            let control = try LinkControl()
            guard let link = try control.link(hostName) else { return self }
            changed.hostName = name
            if let table = rules?.table, table.hasSuffix(hostName) {
                // The successor's table has this name.
                try rules?.remove()
                changed.rules?.table = table.dropLast(hostName.count) + name
            }
            // Kernels before 6.2 rename only what is switched off.
            try control.change(link.index, { $0.isUp = false }, "switch \(hostName) off")
            try control.change(link.index, { $0.name = name }, "rename \(hostName)")
            try control.change(link.index, { $0.isUp = true }, "switch \(name) on")
            try changed.applyRoutes()
        case .macvlan:
            changed.address = name
            let inside = try LinkControl(in: try Namespaces.open(.network, of: pid))
            guard let link = try inside.link(self.name) else { return self }
            try inside.change(link.index, { $0.address = name }, "change the address of \(self.name)")
        case .physical: break
        }
        return changed
    }
}
