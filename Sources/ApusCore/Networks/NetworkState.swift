public import ApusAPI
import LinuxSystem
import Networking

extension NetworkService {
    /// An interface, as it is right now.
    public func state(_ name: String) throws -> NetworkState {
        let control = try LinkControl()
        guard let link = try control.link(name) else { throw ServiceError.notFound("Network not found") }
        var state = NetworkState()
        state.addresses = try AddressControl(control.socket).addresses().filter { $0.index == link.index }
            .map(
                \.apiAddress)
        state.counters = link.apiCounters
        state.hwaddr = link.isLoopback ? "" : link.address
        state.mtu = Int64(link.mtu)
        state.state = link.isUp ? "up" : "down"
        state.type = link.isLoopback ? "loopback" : "broadcast"
        if link.kind == "bridge" {
            var bridge = NetworkStateBridge()
            bridge.id = "8000." + link.address.filter { $0 != ":" }
            bridge.upperDevices = try control.links().filter { $0.master == link.index }.map(\.name).sorted()
            state.bridge = bridge
        }
        return state
    }

    /// The addresses that a network has handed out, and those that were chosen.
    /// - Parameter chosen: interfaces of containers with an address of their own.
    public func leases(_ name: String, chosen: [NetworkLease]) throws -> [NetworkLease] {
        let plan = plan(try managed(name))
        let gateways = [plan.ipv4, plan.ipv6].compactMap { $0 }.map {
            NetworkLease(hostname: "\(name).gw", hwaddr: "", address: $0.address, type: "gateway")
        }
        let dynamic = DHCPServer(plan).leases().map {
            NetworkLease(hostname: $0.name, hwaddr: $0.address, address: $0.ip, type: "dynamic")
        }.filter { lease in !chosen.contains { $0.address == lease.address } }
        return gateways + chosen + dynamic
    }

    // MARK: For the interfaces of containers

    /// The subnets of a bridge, as "10.1.2.0/24": those of a network of ours, or of the addresses that the machine's own
    /// bridge has. None: addresses there are somebody else's business.
    func subnets(of name: String) -> [IPNetwork] {
        if let network = networks[name] {
            let plan = plan(network)
            return [plan.ipv4, plan.ipv6].compactMap { $0 }
        }
        guard let control = try? LinkControl(), let link = try? control.link(name) else { return [] }
        let addresses = (try? AddressControl(control.socket).addresses()) ?? []
        let global: UInt8 = 0
        return addresses.filter { $0.index == link.index && $0.scope == global }.compactMap {
            IPNetwork($0.bytes, prefix: Int($0.prefix))
        }
    }

    /// Whether a network is one of ours.
    func isManaged(_ name: String) -> Bool { networks[name] != nil }

    /// Refuses a bridge that a NIC cannot be on, because it is not there, or none.
    /// - Parameter managed: whether it has to be a network of ours.
    func checkBridge(_ name: String, managed: Bool) throws {
        if networks[name] != nil { return }
        guard let link = try LinkControl().link(name) else {
            throw ServiceError.badRequest(
                "There is no network \"\(name)\"; make it with \"apus network create \(name)\"")
        }
        guard link.kind == "bridge" else {
            throw ServiceError.badRequest(
                "\"\(name)\" is not a bridge, so that no container can be a port of it")
        }
        guard !managed else {
            throw ServiceError.badRequest(
                "\"\(name)\" is a bridge of the machine's own; set nictype=bridged and parent=\(name) instead of network"
            )
        }
    }

    /// Refuses an address that is not in a network, or is its own.
    func checkAddress(_ text: String, in name: String) throws {
        guard let network = networks[name] else {
            throw ServiceError.badRequest(
                "Only a network that Apus manages can give a container the address \(text); \"\(name)\" is the machine's own"
            )
        }
        let plan = plan(network)
        guard let bytes = IPText.bytes(text), let subnet = bytes.count == 4 ? plan.ipv4 : plan.ipv6,
            subnet.contains(bytes), subnet.bytes != bytes
        else {
            throw ServiceError.badRequest(
                "The address \(text) is not one that the network \"\(name)\" can give to a container")
        }
    }

    /// Has a network's DHCP server know a container's interface.
    func register(_ host: DHCPServer.Host, in name: String) throws {
        guard let network = networks[name] else { return }
        try DHCPServer(plan(network)).add(host)
    }

    /// Has a network's DHCP server forget a container's interface.
    /// - Parameter release: whether its address is free at once for others.
    func forget(_ key: String, in name: String, release: Bool) {
        guard let network = networks[name] else { return }
        DHCPServer(plan(network)).remove(key: key, release: release)
    }
}

extension NetworkAddress {
    /// The address as the API shows it.
    var apiAddress: InstanceStateNetworkAddress {
        var address = InstanceStateNetworkAddress()
        address.family = isIPv6 ? "inet6" : "inet"
        address.address = text
        address.netmask = String(prefix)
        address.scope = scope == 0 ? "global" : scope == 254 ? "local" : "link"
        return address
    }
}

extension NetworkLink {
    /// The counters as the API shows them.
    var apiCounters: InstanceStateNetworkCounters {
        var counters = InstanceStateNetworkCounters()
        counters.bytesReceived = Int64(clamping: received.bytes)
        counters.bytesSent = Int64(clamping: sent.bytes)
        counters.packetsReceived = Int64(clamping: received.packets)
        counters.packetsSent = Int64(clamping: sent.packets)
        return counters
    }
}
