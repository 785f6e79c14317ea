import ContainerRuntime
import LinuxSystem
import Networking

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
        ] + Self.pairKeys + [
            DeviceKey("ipv4.address", .text, default: "chosen by DHCP", "The address that DHCP gives it"),
            DeviceKey(
                "ipv6.address", .text, default: "chosen by DHCP", "The address that DHCP gives it (stateful)"),
            DeviceKey(
                "security.mac_filtering", .bool, default: "false", live: true,
                "Whether the container can send from its own `hwaddr` only"),
            DeviceKey(
                "security.ipv4_filtering", .bool, default: "false", live: true,
                "Whether the container can send IPv4 and ARP from its `ipv4.address` only"),
        ]

    func describes(_ device: Device) -> Bool {
        device.type == "nic" && (device["nictype"] == "bridged" || device["network"] != nil)
    }

    func checkReferences(_ device: Device, in services: DeviceServices) async throws {
        guard let bridge = device.bridge else {
            throw device.refuse("say which network it is on: set \"network\"")
        }
        guard device["network"] == nil || device["parent"] == nil else {
            throw device.refuse("\"network\" and \"parent\" mean the same; set one of them")
        }
        do {
            try await services.networks.checkBridge(bridge, managed: device["network"] != nil)
            for key in ["ipv4.address", "ipv6.address"] {
                if let address = device[key] { try await services.networks.checkAddress(address, in: bridge) }
            }
        } catch {
            throw device.refuse(ServiceError.text(of: error))
        }
    }

    func interface(_ device: Device, _ identity: NICIdentity) -> NetworkInterface {
        var interface = NetworkInterface(pair: device, identity)
        interface.bridge = device.bridge
        return interface
    }
}

/// A NIC whose other end is the host's, on no bridge.
struct PointToPointNIC: NICDevice {
    let title = "`nic` with nictype `p2p`"
    let summary = """
        A pair of network interfaces, one end in the container and one on the host, on no bridge. Addresses are for both sides \
        to choose.
        """
    let checkpoint =
        Self.savedByApus
        + " On the host's side that goes for `ipv4.routes` and `ipv6.routes`: its end is made anew, without the addresses "
        + "and routes that somebody else gave it. While the container is stopped there is no route to it."
    let keys: [DeviceKey] =
        Self.commonKeys + [
            DeviceKey("nictype", .word(["p2p"]), required: true, "The kind of interface")
        ] + Self.pairKeys + [
            DeviceKey(
                "ipv4.routes", .text, live: true,
                "Networks that the host reaches through it (`10.1.2.3/32`, several with commas)"),
            DeviceKey(
                "ipv6.routes", .text, live: true,
                "Networks that the host reaches through it (`fd42::3/128`, several with commas)"),
        ]

    func describes(_ device: Device) -> Bool { device.type == "nic" && device["nictype"] == "p2p" }

    func interface(_ device: Device, _ identity: NICIdentity) -> NetworkInterface {
        var interface = NetworkInterface(pair: device, identity)
        let routes = ["ipv4.routes", "ipv6.routes"].compactMap { device[$0] }.flatMap {
            NetworkKeys.subnets($0)
        }
        interface.routes = routes.isEmpty ? nil : routes.map(\.network)
        return interface
    }
}

/// A NIC on the wire of one of the host's interfaces, with an address of its own.
struct MacvlanNIC: NICDevice {
    let title = "`nic` with nictype `macvlan`"
    let summary = """
        A network interface on the wire of one of the host's, with an address of its own. Host and container do not see each \
        other.
        """
    let checkpoint = Self.savedByApus
    let keys: [DeviceKey] =
        Self.commonKeys + [
            DeviceKey("nictype", .word(["macvlan"]), required: true, "The kind of interface"),
            DeviceKey("parent", .text, required: true, "The host's interface it is on"),
        ]

    func describes(_ device: Device) -> Bool { device.type == "nic" && device["nictype"] == "macvlan" }

    func checkReferences(_ device: Device, in services: DeviceServices) async throws {
        guard let parent = device["parent"], try LinkControl().link(parent) != nil else {
            throw device.refuse(
                "the interface \"\(device["parent"] ?? "")\" that it is to be on is not there")
        }
    }

    func interface(_ device: Device, _ identity: NICIdentity) -> NetworkInterface {
        NetworkInterface(
            kind: .macvlan, name: identity.name, address: identity.address,
            mtu: device["mtu"].flatMap { UInt32($0) }, hostName: device["parent"] ?? "")
    }
}

/// One of the host's interfaces, which is the container's for as long as it runs.
struct PhysicalNIC: NICDevice {
    let title = "`nic` with nictype `physical`"
    let summary = """
        One of the host's interfaces itself. The container has it for as long as it runs; then it goes back to the host with the \
        name, address and MTU it had, also after a crash. Addresses and routes the host had given it are not put back.
        """
    let checkpoint = """
        no. A stateful snapshot or stop is refused before anything stops: packets on the wire cannot be held back while \
        sockets are saved.
        """
    let keys: [DeviceKey] = [
        DeviceKey("name", .text, default: "the device's name", "Its name inside the container"),
        DeviceKey("hwaddr", .text, default: "its own", "Its address in the container"),
        DeviceKey("mtu", .integer(68...65_535), default: "its own", "The most bytes a packet can have"),
        DeviceKey("nictype", .word(["physical"]), required: true, "The kind of interface"),
        DeviceKey("parent", .text, required: true, "The host's interface"),
    ]

    func describes(_ device: Device) -> Bool { device.type == "nic" && device["nictype"] == "physical" }

    func checkReferences(_ device: Device, in services: DeviceServices) async throws {
        guard let parent = device["parent"] else { return }
        let isOurs = await services.networks.isManaged(parent)
        guard try !isOurs && LinkControl().link(parent)?.kind != "bridge" else {
            throw device.refuse(
                "\"\(parent)\" is a bridge, which the host needs; to be on it, use nictype=bridged")
        }
    }

    func interface(_ device: Device, _ identity: NICIdentity) -> NetworkInterface {
        NetworkInterface(
            kind: .physical, name: identity.name, address: device["hwaddr"],
            mtu: device["mtu"].flatMap { UInt32($0) }, hostName: device["parent"] ?? "")
    }
}
