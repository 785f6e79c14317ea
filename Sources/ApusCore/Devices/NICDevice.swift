import ContainerRuntime
import Glibc
import LinuxSystem
import Networking

/// A network interface: the way one of its kinds is made differs only in `interface(_:)`.
protocol NICDevice: DeviceType {
    /// The interface as the runtime is to make it.
    func interface(_ device: Device, name: String, address: String) -> NetworkInterface
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

    static var hostNameKey: DeviceKey {
        DeviceKey("host_name", .text, default: "`veth` and eight random digits", "The name of the host's end")
    }

    static var savedByApus: String {
        "its addresses and routes, and established connections, are as they were after a restore. Interfaces and packet "
            + "filters that the container makes by itself are not: a checkpoint is then refused."
    }

    /// The address an interface has had before, or a new one.
    static func address(_ device: Device, _ owner: DeviceOwner) -> String {
        device["hwaddr"] ?? owner.record.volatile["volatile.\(device.name).hwaddr"]
            ?? LinkNames.randomAddress()
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
    }

    func start(
        _ device: Device, of owner: DeviceOwner, in services: DeviceServices, _ rollback: Rollback
    ) async throws -> DeviceContribution {
        try await contribution(device, owner, services)
    }

    func plug(
        _ device: Device, into container: RunningOwner, in services: DeviceServices
    ) async throws -> DeviceContribution {
        let contribution = try await contribution(device, container.owner, services)
        let namespace = try Namespaces.open(.network, of: container.live.initPID)
        for interface in contribution.interfaces {
            do {
                try interface.make(in: namespace)
            } catch {
                try? interface.remove()
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
            if interface.kind == .veth {
                try interface.remove()
            } else {
                let namespace = try Namespaces.open(.network, of: container.live.initPID)
                try LinkControl(in: namespace).remove(interface.name)
            }
        }
        await forget(device, container.owner, services)
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
            device, name: device["name"] ?? device.name, address: Self.address(device, owner))
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
            await services.networks.forget("\(owner.name).\(device.name)", in: bridge)
        }
    }
}

extension Device {
    /// The bridge it is to be on: LXD has two words for it.
    var bridge: String? { self["network"] ?? (self["nictype"] == "bridged" ? self["parent"] : nil) }
}

/// A NIC on a bridge: one that Apus manages, or the machine's own.
struct BridgedNIC: NICDevice {
    let title = "`nic` with nictype `bridged`, or a network"
    let summary = "A network interface on a bridge: a network of Apus, or a bridge of the machine's own."
    let checkpoint = Self.savedByApus
    let keys: [DeviceKey] =
        Self.commonKeys + [
            DeviceKey("nictype", .word(["bridged"]), "Needed when `parent` is given"),
            DeviceKey("network", .text, "The network of Apus it is on"),
            DeviceKey("parent", .text, "The bridge it is on (one of the two is needed)"),
            hostNameKey,
            DeviceKey("ipv4.address", .text, default: "chosen by DHCP", "The address that DHCP gives it"),
            DeviceKey(
                "ipv6.address", .text, default: "chosen by DHCP", "The address that DHCP gives it (stateful)"),
        ]

    func describes(_ device: Device) -> Bool {
        device.type == "nic" && (device["nictype"] == "bridged" || device["network"] != nil)
    }

    func check(_ device: Device, of owner: DeviceOwner, in services: DeviceServices) async throws {
        guard let bridge = device.bridge else {
            throw device.refuse("say which network it is on: set \"network\"")
        }
        guard device["network"] == nil || device["parent"] == nil else {
            throw device.refuse("\"network\" and \"parent\" mean the same; set one of them")
        }
        try await services.networks.checkBridge(bridge)
        for key in ["ipv4.address", "ipv6.address"] {
            if let address = device[key] { try await services.networks.checkAddress(address, in: bridge) }
        }
    }

    func interface(_ device: Device, name: String, address: String) -> NetworkInterface {
        NetworkInterface(
            kind: .veth, name: name, address: address, mtu: device["mtu"].flatMap { UInt32($0) },
            hostName: device["host_name"] ?? LinkNames.randomHostEnd(), bridge: device.bridge)
    }
}

/// A NIC whose other end is the host's, on no bridge.
struct PointToPointNIC: NICDevice {
    let title = "`nic` with nictype `p2p`"
    let summary = "A pair of network interfaces, one end in the container and one on the host, on no bridge."
    let checkpoint =
        "addresses and routes are as they were after a restore; established connections only if nobody "
        + "sends to them in that moment."
    let keys: [DeviceKey] =
        Self.commonKeys + [
            DeviceKey("nictype", .word(["p2p"]), required: true, "The kind of interface"), hostNameKey,
        ]

    func describes(_ device: Device) -> Bool { device.type == "nic" && device["nictype"] == "p2p" }

    func interface(_ device: Device, name: String, address: String) -> NetworkInterface {
        NetworkInterface(
            kind: .veth, name: name, address: address, mtu: device["mtu"].flatMap { UInt32($0) },
            hostName: device["host_name"] ?? LinkNames.randomHostEnd())
    }
}

/// A NIC on the wire of one of the host's interfaces, with an address of its own.
struct MacvlanNIC: NICDevice {
    let title = "`nic` with nictype `macvlan`"
    let summary =
        "A network interface on the wire of one of the host's, with an address of its own. Host and container do not see "
        + "each other."
    let checkpoint =
        "addresses and routes are as they were after a restore; established connections only if nobody "
        + "sends to them in that moment."
    let keys: [DeviceKey] =
        Self.commonKeys + [
            DeviceKey("nictype", .word(["macvlan"]), required: true, "The kind of interface"),
            DeviceKey("parent", .text, required: true, "The host's interface it is on"),
        ]

    func describes(_ device: Device) -> Bool { device.type == "nic" && device["nictype"] == "macvlan" }

    func check(_ device: Device, of owner: DeviceOwner, in services: DeviceServices) async throws {
        guard let parent = device["parent"], try LinkControl().link(parent) != nil else {
            throw device.refuse(
                "the interface \"\(device["parent"] ?? "")\" that it is to be on is not there")
        }
    }

    func interface(_ device: Device, name: String, address: String) -> NetworkInterface {
        NetworkInterface(
            kind: .macvlan, name: name, address: address, mtu: device["mtu"].flatMap { UInt32($0) },
            hostName: device["parent"] ?? "")
    }
}
