import ContainerRuntime
import Glibc
import LinuxSystem
import Networking

/// A network interface: the way one of its kinds is made differs only in `interface(_:_:)`.
protocol NICDevice: DeviceType {
    /// The interface as the runtime is to make it.
    func interface(_ device: Device, _ identity: NICIdentity) -> NetworkInterface

    /// Checks that what the device refers to is there, whoever it belongs to.
    func checkReferences(_ device: Device, in services: DeviceServices) async throws
}

/// What an interface is known by, as far as its device does not say.
struct NICIdentity {
    /// Its name inside.
    var name: String
    /// Its address; nil for its own.
    var address: String?
    /// The name of the host's end.
    var hostName: String
    /// The beginning of the names of the daemon's tables of nftables.
    var tablePrefix: String
}

extension NICDevice {
    static var commonKeys: [DeviceKey] {
        [
            DeviceKey("name", .text, default: "the device's name", "Its name inside the container"),
            DeviceKey(
                "hwaddr", .text, default: "made once and kept (`volatile.<device>.hwaddr`)",
                "Its address, such as `00:16:3e:01:02:03`"),
            DeviceKey(
                "mtu", .integer(68...65_535), default: "that of its bridge or parent",
                "The most bytes a packet can have"),
        ]
    }

    /// The keys of pairs, of which one end is the host's.
    static var pairKeys: [DeviceKey] {
        [
            DeviceKey(
                "host_name", .text, default: "`veth` and eight random digits", "The name of the host's end"),
            DeviceKey(
                "limits.ingress", .bitRate, default: "no limit", live: true,
                "What it receives at most; what is more waits for a moment, and is dropped if there is too much of it"
            ),
            DeviceKey(
                "limits.egress", .bitRate, default: "no limit", live: true,
                "What it sends at most; more than a second's worth and 64 KiB at once is dropped"),
            DeviceKey(
                "limits.max", .bitRate, default: "no limit", live: true,
                "`limits.ingress` and `limits.egress` together, as far as they are not set"),
        ]
    }

    static var savedByApus: String {
        "its addresses and routes, and established connections, are as they were after a restore. Interfaces and packet "
            + "filters that the container makes by itself are not: a checkpoint is then refused."
    }

    func check(_ device: Device) throws {
        for key in ["name", "host_name", "parent", "network"] {
            if let name = device[key], let problem = LinkNames.problem(name) {
                throw device.refuse("the \(key) \"\(name)\" \(problem)")
            }
        }
        if device["name"] == nil, let problem = LinkNames.problem(device.name) {
            throw device.refuse(
                "its name cannot be that of an interface: it \(problem). Give it the key \"name\"")
        }
        if let address = device["hwaddr"], !LinkNames.isAddress(address) {
            throw device.refuse("\"\(address)\" is not an address such as \"00:16:3e:01:02:03\"")
        }
        for key in ["ipv4.routes", "ipv6.routes"] {
            if let list = device[key],
                let problem = NetworkKeys.subnetsProblem(list, isIPv6: key == "ipv6.routes")
            {
                throw device.refuse("invalid value for \"\(key)\": \"\(list)\" \(problem)")
            }
        }
        if ConfigValues.isTrue(device.config, "security.ipv4_filtering"), device["ipv4.address"] == nil {
            throw device.refuse(
                "security.ipv4_filtering needs the key \"ipv4.address\": the one that is let through")
        }
    }

    func check(_ device: Device, of owner: DeviceOwner, in services: DeviceServices) async throws {
        try checkNames(device, among: owner.devices)
        try await checkReferences(device, in: services)
    }

    func checkReferences(_ device: Device, in services: DeviceServices) async throws {}

    /// Refuses names and addresses that another interface of the same container has.
    func checkNames(_ device: Device, among devices: [String: [String: String]]) throws {
        for (name, config) in devices.sorted(by: { $0.key < $1.key })
        where name != device.name && config["type"] == "nic" {
            let other = Device(name, config)
            let (inside, taken) = (device["name"] ?? device.name, other["name"] ?? name)
            guard inside != taken else {
                throw device.refuse(
                    "device \"\(name)\" is called \"\(taken)\" inside already; give it another \"name\"")
            }
            for key in ["host_name", "hwaddr"] {
                if let value = device[key], value == other[key] {
                    throw device.refuse("device \"\(name)\" has the \(key) \"\(value)\" already")
                }
            }
        }
    }

    func start(
        _ device: Device, of owner: DeviceOwner, in services: DeviceServices, _ rollback: Rollback
    ) async throws -> DeviceContribution {
        let contribution = try await contribution(device, owner, services)
        for interface in contribution.interfaces { rollback.add { try interface.remove() } }
        return contribution
    }

    func plug(
        _ device: Device, into container: RunningOwner, in services: DeviceServices
    ) async throws -> DeviceContribution {
        let contribution = try await contribution(device, container.owner, services)
        let namespace = try Namespaces.open(.network, of: container.live.initPID)
        let directory = container.live.spec.runtimeDirectory
        for interface in contribution.interfaces {
            do {
                try interface.make(in: namespace, notedIn: directory)
            } catch {
                try? interface.remove()
                if interface.kind == .physical {
                    try? BorrowedInterfaces(runtimeDirectory: directory).giveBack(interface.name)
                }
                throw device.refuse(
                    "cannot be put into \(container.owner.name): \(ServiceError.text(of: error))")
            }
        }
        return contribution
    }

    func unplug(
        _ device: Device, _ contribution: DeviceContribution, from container: RunningOwner,
        in services: DeviceServices
    ) async throws {
        for interface in contribution.interfaces {
            switch interface.kind {
            case .veth: try interface.remove()
            case .macvlan:
                let namespace = try Namespaces.open(.network, of: container.live.initPID)
                try LinkControl(in: namespace).remove(interface.name)
            case .physical:
                try BorrowedInterfaces(runtimeDirectory: container.live.spec.runtimeDirectory)
                    .giveBack(interface.name)
            }
        }
        await forget(device, container.owner, services)
    }

    func update(
        _ device: Device, to new: Device, _ contribution: DeviceContribution, in container: RunningOwner,
        services: DeviceServices
    ) async throws -> DeviceContribution? {
        let live = Set(keys.filter(\.live).map(\.name))
        let changed = Set(device.config.keys).union(new.config.keys).filter {
            device.config[$0] != new.config[$0]
        }
        guard changed.allSatisfy({ live.contains($0) || $0.hasPrefix("user.") }),
            let old = contribution.interfaces.first
        else { return nil }
        let now = interface(
            new,
            NICIdentity(
                name: old.name, address: old.address, hostName: old.hostName,
                tablePrefix: InterfaceRules.tablePrefix(daemonID: services.context.daemonID)))
        do {
            try now.applyRules()
            try old.removeRoutes(besides: now.routes ?? [])
            try now.applyRoutes()
        } catch {
            try? old.applyRules()
            try? old.applyRoutes()
            throw new.refuse("cannot be changed in \(container.owner.name): \(ServiceError.text(of: error))")
        }
        var contribution = DeviceContribution()
        contribution.interfaces = [now]
        return contribution
    }

    func stop(
        _ device: Device, _ contribution: DeviceContribution, of owner: DeviceOwner,
        in services: DeviceServices
    ) async throws {
        for interface in contribution.interfaces { try interface.remove() }
    }

    private func contribution(_ device: Device, _ owner: DeviceOwner, _ services: DeviceServices) async throws
        -> DeviceContribution
    {
        let interface = interface(
            device,
            NICIdentity(
                name: device["name"] ?? device.name,
                // The address it has had before, or a new one.
                address: device["hwaddr"] ?? owner.record.volatile["volatile.\(device.name).hwaddr"],
                hostName: device["host_name"] ?? LinkNames.randomHostEnd(),
                tablePrefix: InterfaceRules.tablePrefix(daemonID: services.context.daemonID)))
        if let bridge = interface.bridge {
            var host = DHCPServer.Host(
                key: "\(owner.name).\(device.name)", address: interface.address ?? "", name: owner.name)
            host.ipv4 = device["ipv4.address"]
            host.ipv6 = device["ipv6.address"]
            try await services.networks.register(host, in: bridge)
        }
        var contribution = DeviceContribution()
        contribution.interfaces = [interface]
        return contribution
    }

    private func forget(_ device: Device, _ owner: DeviceOwner, _ services: DeviceServices) async {
        if let bridge = device.bridge {
            await services.networks.forget("\(owner.name).\(device.name)", in: bridge, release: true)
        }
    }
}

extension Device {
    /// The bridge it is to be on: LXD has two words for it.
    var bridge: String? { self["network"] ?? (self["nictype"] == "bridged" ? self["parent"] : nil) }

    /// What is let through a pair of interfaces.
    func rules(_ identity: NICIdentity) -> InterfaceRules {
        func rate(_ key: String) -> UInt64? {
            (self[key] ?? self["limits.max"]).flatMap(ConfigValues.bitRate)
        }
        var rules = InterfaceRules(table: identity.tablePrefix + identity.hostName)
        rules.ingress = rate("limits.ingress")
        rules.egress = rate("limits.egress")
        if ConfigValues.isTrue(config, "security.mac_filtering") { rules.address = identity.address }
        if ConfigValues.isTrue(config, "security.ipv4_filtering") { rules.ipv4 = self["ipv4.address"] }
        return rules
    }
}

extension NetworkInterface {
    /// A pair as a device wants it.
    init(pair device: Device, _ identity: NICIdentity) {
        self.init(
            kind: .veth, name: identity.name, address: identity.address,
            mtu: device["mtu"].flatMap { UInt32($0) }, hostName: identity.hostName)
        rules = device.rules(identity)
    }
}
