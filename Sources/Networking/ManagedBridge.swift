import Glibc
public import LinuxSystem

/// A bridge of our own on this machine, with its packet filter and DHCP server.
public enum ManagedBridge {
    /// Makes it what the plan says, whether it is there already or not. On failure, what was made anew is removed.
    /// - Parameter former: what it has been, if it was something else before.
    /// - Returns: its DHCP server's process, if it has one.
    public static func up(_ plan: BridgePlan, before former: BridgePlan? = nil) async throws
        -> ProcessDescriptor?
    {
        try await withRollback { rollback in
            let control = try LinkControl()
            if try control.link(plan.name) == nil {
                rollback.add { try control.remove(plan.name) }
                try control.makeBridge(plan.name, address: plan.address, mtu: plan.mtu)
            }
            guard let link = try control.link(plan.name) else {
                throw SystemError(call: "netlink", errno: ENODEV, context: "find the bridge \(plan.name)")
            }
            if let mtu = plan.mtu, mtu != link.mtu {
                try control.change(link.index, { $0.mtu = mtu }, "set the MTU of \(plan.name)")
            }
            set("ipv6/conf/\(plan.name)/accept_ra", "0")
            set("ipv6/conf/\(plan.name)/accept_dad", "0")
            set("ipv6/conf/\(plan.name)/disable_ipv6", plan.ipv6 == nil ? "1" : "0")
            try control.change(link.index, { $0.isUp = true }, "bring \(plan.name) up")
            try setAddresses(plan, link.index, control)
            try setRoutes(plan, link.index, control)
            let released = (former?.externalInterfaces ?? []).filter { !plan.externalInterfaces.contains($0) }
            try release(released, from: link.index, control)
            rollback.add {
                let added = plan.externalInterfaces.filter { former?.externalInterfaces.contains($0) != true }
                try release(added, from: link.index, control)
            }
            for name in plan.externalInterfaces { try addPort(name, to: link, control) }
            try Tunnels.bring(plan, before: former, bridge: link.index, control, rollback)
            try forward(plan)
            rollback.add { try await PacketFilter.remove(table: plan.table) }
            try await PacketFilter.apply(plan)
            let server = DHCPServer(plan)
            rollback.add { try await server.stop() }
            guard plan.needsServer else {
                try await server.stop()
                return nil
            }
            return try await server.start()
        }
    }

    /// Removes it and all that belongs to it. What is not there is no error.
    public static func down(_ plan: BridgePlan) async throws {
        var failure: (any Error)?
        do { try await DHCPServer(plan).stop() } catch { failure = error }
        do { try await PacketFilter.remove(table: plan.table) } catch { failure = failure ?? error }
        for tunnel in plan.tunnels {
            do { try LinkControl().remove(tunnel.interface) } catch { failure = failure ?? error }
        }
        do { try LinkControl().remove(plan.name) } catch { failure = failure ?? error }
        if let failure { throw failure }
    }

    /// Makes an interface of the machine a port of the bridge.
    private static func addPort(_ name: String, to bridge: NetworkLink, _ control: LinkControl) throws {
        guard let link = try control.link(name) else {
            throw NetworkingError("the interface \(name) that is to be on \(bridge.name) is not there")
        }
        if link.master == bridge.index { return }
        let linkLocal: UInt8 = 253
        guard link.master == 0 else {
            throw NetworkingError("the interface \(name) is a port of another bridge already")
        }
        guard
            try !AddressControl(control.socket).addresses().contains(where: {
                $0.index == link.index && $0.scope != linkLocal
            })
        else {
            throw NetworkingError(
                "the interface \(name) has addresses, so that the machine needs it; only one without can be on \(bridge.name)"
            )
        }
        try control.change(
            link.index,
            { change in
                change.master = bridge.index
                change.isUp = true
            }, "connect \(name) to \(bridge.name)")
    }

    private static func release(_ names: [String], from bridge: Int32, _ control: LinkControl) throws {
        for name in names {
            guard let link = try control.link(name), link.master == bridge else { continue }
            try control.change(link.index, { $0.master = 0 }, "take \(name) off its bridge")
        }
    }

    private static func setRoutes(_ plan: BridgePlan, _ index: Int32, _ control: LinkControl) throws {
        let table = AddressControl(control.socket)
        let wanted = Set(plan.routes.map(\.network))
        for route in try table.routes()
        where route.index == index && route.origin == AddressControl.ownOrigin {
            guard let present = IPNetwork(route.destination, prefix: Int(route.prefix)) else { continue }
            if !wanted.contains(present.network) {
                try table.removeRoute(to: present.bytes, prefix: UInt8(present.prefix), through: index)
            }
        }
        for route in plan.routes {
            try table.addRoute(
                to: route.bytes, prefix: UInt8(route.prefix), through: index, plan.name)
        }
    }

    private static func setAddresses(_ plan: BridgePlan, _ index: Int32, _ control: LinkControl) throws {
        let addresses = AddressControl(control.socket)
        let wanted = [plan.ipv4, plan.ipv6].compactMap { $0 }
        let linkLocal: UInt8 = 253
        for present in try addresses.addresses() where present.index == index && present.scope != linkLocal {
            if !wanted.contains(where: { $0.bytes == present.bytes && $0.prefix == Int(present.prefix) }) {
                try addresses.remove(present)
            }
        }
        for network in wanted {
            try addresses.add(network.bytes, prefix: UInt8(network.prefix), to: index, plan.name)
        }
    }

    /// Lets the machine forward packets. It stays so: others may have come to count on it.
    private static func forward(_ plan: BridgePlan) throws {
        if plan.ipv4 != nil, plan.ipv4Routing, value("ipv4/ip_forward") == "0" {
            try Files.poke("/proc/sys/net/ipv4/ip_forward", "1")
        }
        guard plan.ipv6 != nil, plan.ipv6Routing, value("ipv6/conf/all/forwarding") == "0" else { return }
        // A machine that forwards no longer heeds router advertisements, unless told to (2).
        for name in (try? Files.names(in: "/proc/sys/net/ipv6/conf")) ?? [] where name != plan.name {
            if value("ipv6/conf/\(name)/accept_ra") == "1" { set("ipv6/conf/\(name)/accept_ra", "2") }
        }
        try Files.poke("/proc/sys/net/ipv6/conf/all/forwarding", "1")
    }

    private static func value(_ name: String) -> String? {
        try? Files.text("/proc/sys/net/\(name)", limit: 64).trimmingSpaces
    }

    private static func set(_ name: String, _ value: String) {
        // A kernel without IPv6 has none of these.
        try? Files.poke("/proc/sys/net/\(name)", value)
    }
}
