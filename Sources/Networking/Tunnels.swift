import LinuxSystem

/// The tunnels of a bridge.
enum Tunnels {
    /// Makes those that are not there, and removes those that the plan has no more.
    static func bring(
        _ plan: BridgePlan, before former: BridgePlan?, bridge: Int32, _ control: LinkControl,
        _ rollback: Rollback
    ) throws {
        for tunnel in former?.tunnels ?? [] where !plan.tunnels.contains(tunnel) {
            try control.remove(tunnel.interface)
        }
        for tunnel in plan.tunnels {
            if let link = try control.link(tunnel.interface) {
                guard link.kind == "vxlan", link.master == bridge else {
                    throw NetworkingError(
                        "there is an interface \(tunnel.interface) already, so that the tunnel cannot have the name"
                    )
                }
                continue
            }
            let vxlan = try vxlan(tunnel, control)
            rollback.add { try control.remove(tunnel.interface) }
            try control.make(vxlan, on: bridge)
        }
    }

    private static func vxlan(_ tunnel: BridgePlan.Tunnel, _ control: LinkControl) throws -> LinkControl.VXLAN
    {
        guard let remote = IPText.bytes(tunnel.remote) else {
            throw NetworkingError("\(tunnel.remote) is not an address for the tunnel \(tunnel.interface)")
        }
        var vxlan = LinkControl.VXLAN(tunnel.interface, remote: remote)
        vxlan.number = tunnel.number
        vxlan.local = tunnel.local.flatMap(IPText.bytes)
        vxlan.port = tunnel.port
        if let through = tunnel.through {
            guard let link = try control.link(through) else {
                throw NetworkingError(
                    "the interface \(through) that the tunnel \(tunnel.interface) is to go through is not there"
                )
            }
            vxlan.lower = link.index
        } else if remote[0] & 0xf0 == 0xe0 {
            // The kernel wants to know where a group is to be listened to.
            let routes = try AddressControl(control.socket).routes()
            guard let route = routes.first(where: { $0.prefix == 0 && $0.type == 1 && $0.raw.first == 2 })
            else {
                throw NetworkingError(
                    "there is no default route that would tell where the tunnel \(tunnel.interface) is to go; say so with its key \"interface\""
                )
            }
            vxlan.lower = route.index
        }
        return vxlan
    }
}
