public import ApusAPI
import Glibc
import LinuxSystem
import Logging
import Networking

/// Networks: bridges of our own, each with its packet filter, DHCP and DNS; and the machine's other interfaces, to look
/// at.
public actor NetworkService {
    let context: ServiceContext
    var networks: [String: Network] = [:]
    /// Networks being changed.
    private var busy: Set<String> = []
    /// The DHCP servers' watchers.
    private var watchers: [String: Task<Void, Never>] = [:]

    init(context: ServiceContext) throws {
        self.context = context
        for network in try context.store.networks() { networks[network.name] = network }
    }

    // MARK: Reading

    /// All networks, by name: ours, and the machine's other interfaces.
    public func list() -> [Network] {
        let own = networks.values.sorted { $0.name < $1.name }
        let links = (try? LinkControl().links()) ?? []
        return own + links.filter { networks[$0.name] == nil && $0.kind != "veth" }.map(unmanaged)
    }

    /// A network, without what uses it.
    public func get(_ name: String) throws -> Network {
        if let network = networks[name] { return network }
        guard let link = try LinkControl().link(name) else {
            throw ServiceError.notFound("Network not found")
        }
        return unmanaged(link)
    }

    /// The tag of a network's editable part.
    public func etag(_ name: String) throws -> String { try ETag.of(editable(try get(name))) }

    private func unmanaged(_ link: NetworkLink) -> Network {
        let type =
            link.kind == "bridge"
            ? "bridge"
            : link.isLoopback
                ? "loopback" : link.kind.isEmpty && link.hardwareType == 1 ? "physical" : "unknown"
        return Network(name: link.name, type: type)
    }

    func managed(_ name: String) throws -> Network {
        if let network = networks[name] { return network }
        _ = try get(name)
        throw ServiceError.badRequest(
            "Only networks that Apus manages can be changed; \"\(name)\" is the machine's own")
    }

    // MARK: Changing

    /// Makes a network.
    public func create(_ post: NetworksPost) async throws {
        if let problem = LinkNames.problem(post.name) {
            throw ServiceError.badRequest("Invalid network name \"\(post.name)\": it \(problem)")
        }
        guard post.type.isEmpty || post.type == "bridge" else {
            throw ServiceError.badRequest(
                "Unknown network type \"\(post.type)\"; this version has \"bridge\"")
        }
        guard networks[post.name] == nil else {
            throw ServiceError.conflict("The network \"\(post.name)\" already exists")
        }
        guard try LinkControl().link(post.name) == nil else {
            throw ServiceError.conflict(
                "There is an interface \"\(post.name)\" on this machine already; choose another name")
        }
        try NetworkKeys.check(post.config)
        try await change(post.name) {
            var network = Network(name: post.name)
            network.managed = true
            network.status = "Created"
            network.description = post.description
            network.config = try filled(
                post.config.filter { !$0.value.isEmpty }, of: post.name, except: nil)
            try await apply(network, before: nil)
            context.events.lifecycle("network-created", "/1.0/networks/\(network.name)")
        }
    }

    /// Changes a network; containers stay connected.
    /// - Parameter merge: whether keys that are not given stay as they are; an empty value unsets.
    public func update(_ name: String, _ put: NetworkPut, merge: Bool, ifMatch: String?) async throws {
        let old = try managed(name)
        try ETag.check(ifMatch, against: try etag(name))
        let given = merge ? old.config.merging(put.config) { _, new in new } : put.config
        try NetworkKeys.check(given, old: old.config)
        try await change(name) {
            var network = old
            var config = given.filter { !$0.value.isEmpty }
            config["volatile.bridge.hwaddr"] = old.config["volatile.bridge.hwaddr"]
            let link = try LinkControl().link(name)
            network.config = try filled(config, of: name, except: link?.index)
            network.description = merge && put.description.isEmpty ? old.description : put.description
            try await apply(network, before: old)
            context.events.lifecycle("network-updated", "/1.0/networks/\(name)")
        }
    }

    /// Gives a network that nothing uses another name.
    public func rename(_ name: String, to newName: String, usedBy: [String]) async throws {
        let old = try managed(name)
        if let problem = LinkNames.problem(newName) {
            throw ServiceError.badRequest("Invalid network name \"\(newName)\": it \(problem)")
        }
        try checkUnused(name, usedBy)
        _ = try NetworkKeys.tunnels(old.config, of: newName)
        guard networks[newName] == nil, try LinkControl().link(newName) == nil else {
            throw ServiceError.conflict("There is an interface or network \"\(newName)\" already")
        }
        try await change(name) {
            var network = old
            network.name = newName
            try await takeDown(old)
            do {
                try await bringUp(network)
                try context.store.renameNetwork(name, to: newName)
            } catch {
                try? await takeDown(network)
                try? await bringUp(old)
                throw error
            }
            networks[name] = nil
            networks[newName] = network
            try? removeTree(plan(old).directory)
            context.events.lifecycle("network-renamed", "/1.0/networks/\(newName)")
        }
    }

    /// Removes a network that nothing uses, with everything that belongs to it.
    public func delete(_ name: String, usedBy: [String]) async throws {
        let network = try managed(name)
        try checkUnused(name, usedBy)
        try await change(name) {
            try await takeDown(network)
            try context.store.deleteNetwork(name)
            networks[name] = nil
            try removeTree(plan(network).directory)
            context.events.lifecycle("network-deleted", "/1.0/networks/\(name)")
        }
    }

    private func checkUnused(_ name: String, _ usedBy: [String]) throws {
        guard usedBy.isEmpty else {
            throw ServiceError.badRequest(
                "The network \"\(name)\" is in use by \(Users.text(usedBy)); detach it from them first")
        }
    }

    /// One change of a network at a time.
    private func change(_ name: String, _ body: () async throws -> Void) async throws {
        guard busy.insert(name).inserted else {
            throw ServiceError.conflict(
                "The network \"\(name)\" is being changed; try again when that is done")
        }
        defer { busy.remove(name) }
        try await body()
    }

    /// Fills in what the daemon chooses, and refuses networks that overlap others.
    private func filled(_ given: ConfigMap, of name: String, except link: Int32?) throws -> ConfigMap {
        var config = given
        _ = try NetworkKeys.tunnels(config, of: name)
        if config["volatile.bridge.hwaddr"] == nil {
            config["volatile.bridge.hwaddr"] = LinkNames.randomAddress()
        }
        let taken = try IPNetwork.inUse(except: link)
        for (family, find) in [("ipv4", IPNetwork.freeIPv4), ("ipv6", IPNetwork.freeIPv6)] {
            let key = "\(family).address"
            switch config[key] ?? "auto" {
            case "none": continue
            case "auto":
                if family == "ipv6", !Files.exists("/proc/sys/net/ipv6") {
                    config[key] = "none"
                    continue
                }
                guard let free = find(taken) else {
                    throw ServiceError.failure("No free \(family) subnet was found; set \(key) by hand")
                }
                config[key] = free.description
                if config["\(family).nat"] == nil { config["\(family).nat"] = "true" }
            case let text:
                guard let network = IPNetwork(text) else { continue }
                if let other = taken.first(where: network.overlaps) {
                    throw ServiceError.badRequest(
                        "Invalid value for \"\(key)\": \(network.network) overlaps \(other.network), which this machine uses already; choose another subnet"
                    )
                }
            }
        }
        for key in ["ipv4.routes", "ipv6.routes"] {
            for route in config[key].map(NetworkKeys.subnets) ?? [] {
                guard let other = taken.first(where: route.overlaps) else { continue }
                throw ServiceError.badRequest(
                    "Invalid value for \"\(key)\": \(route) overlaps \(other.network), which this machine uses already"
                )
            }
        }
        return config
    }

    /// Makes a network what it is to be, then writes it down. On failure it is as it was before.
    private func apply(_ network: Network, before old: Network?) async throws {
        do {
            try await bringUp(network, before: old)
            try context.store.save(network)
        } catch {
            if let old { try? await bringUp(old, before: network) } else { try? await takeDown(network) }
            throw ServiceError.failure(
                "Cannot set up the network \(network.name): \(ServiceError.text(of: error))")
        }
        networks[network.name] = network
    }

    // MARK: On the machine

    /// Brings all networks up: at the start of the daemon.
    func startAll() async {
        for network in networks.values.sorted(by: { $0.name < $1.name }) {
            do {
                try await bringUp(network)
            } catch {
                context.logger.error(
                    "cannot bring a network up",
                    metadata: ["network": "\(network.name)", "error": "\(ServiceError.text(of: error))"])
            }
        }
    }

    /// Takes all networks down: when all containers have been stopped and the daemon ends.
    func stopAll() async {
        for network in networks.values { try? await takeDown(network) }
    }

    private func bringUp(_ network: Network, before old: Network? = nil) async throws {
        let plan = plan(network)
        watchers.removeValue(forKey: network.name)?.cancel()
        guard let server = try await ManagedBridge.up(plan, before: old.map(self.plan)) else { return }
        watchers[network.name] = Task { [logger = context.logger] in
            try? await server.waitUntilGone()
            guard !Task.isCancelled else { return }
            _ = try? server.poll()
            logger.warning(
                "the DHCP server has ended; it is started again", metadata: ["network": "\(network.name)"])
            // If it ends at once each time, there is a pause between the tries.
            try? await Task.sleep(for: .seconds(1))
            guard !Task.isCancelled else { return }
            await self.startServerAgain(network.name)
        }
    }

    private func startServerAgain(_ name: String) async {
        guard let network = networks[name], !busy.contains(name) else { return }
        // It is the watcher that asks: it must not be cancelled by its own work.
        watchers[name] = nil
        do {
            try await bringUp(network)
        } catch {
            context.logger.error(
                "cannot start the DHCP server", metadata: ["network": "\(name)", "error": "\(error)"])
        }
    }

    private func takeDown(_ network: Network) async throws {
        watchers.removeValue(forKey: network.name)?.cancel()
        try await ManagedBridge.down(plan(network))
    }

    /// Everything about a network's bridge.
    func plan(_ network: Network) -> BridgePlan {
        let config = network.config
        var plan = BridgePlan(
            name: network.name,
            address: config["bridge.hwaddr"] ?? config["volatile.bridge.hwaddr"] ?? "",
            directory: context.directory.network(network.name),
            table: "apus-\(context.daemonID)-\(network.name)")
        func truth(_ key: String, _ fallback: Bool) -> Bool {
            ConfigValues.isTrue(config, key, default: fallback)
        }
        plan.mtu = config["bridge.mtu"].flatMap { UInt32($0) }
        plan.ipv4 = config["ipv4.address"].flatMap { IPNetwork($0) }
        plan.ipv6 = config["ipv6.address"].flatMap { IPNetwork($0) }
        plan.ipv4NAT = truth("ipv4.nat", false)
        plan.ipv6NAT = truth("ipv6.nat", false)
        plan.ipv4DHCP = truth("ipv4.dhcp", true)
        plan.ipv6DHCP = truth("ipv6.dhcp", true)
        plan.ipv6Stateful = truth("ipv6.dhcp.stateful", false)
        plan.ipv4Ranges = config["ipv4.dhcp.ranges"]
        plan.ipv4Routing = truth("ipv4.routing", true)
        plan.ipv6Routing = truth("ipv6.routing", true)
        plan.ipv4Firewall = truth("ipv4.firewall", true)
        plan.ipv6Firewall = truth("ipv6.firewall", true)
        plan.domain = config["dns.domain"] ?? "apus"
        plan.dnsMode = config["dns.mode"] ?? "managed"
        plan.leaseTime = config["ipv4.dhcp.expiry"] ?? "1h"
        plan.ipv6LeaseTime = config["ipv6.dhcp.expiry"] ?? "1h"
        plan.ipv6Ranges = config["ipv6.dhcp.ranges"]
        plan.routes = ["ipv4.routes", "ipv6.routes"].compactMap { config[$0] }.flatMap(NetworkKeys.subnets)
        plan.externalInterfaces = config["bridge.external_interfaces"].map(NetworkKeys.list) ?? []
        plan.rawDnsmasq = config["raw.dnsmasq"] ?? ""
        // They were checked when the keys were set.
        plan.tunnels = (try? NetworkKeys.tunnels(config, of: network.name)) ?? []
        // What a tunnel adds to a packet has to find room in those of the machine.
        if !plan.tunnels.isEmpty, plan.mtu == nil { plan.mtu = 1400 }
        return plan
    }

    private func editable(_ network: Network) -> NetworkPut {
        var put = NetworkPut()
        put.config = network.config
        put.description = network.description
        return put
    }
}
