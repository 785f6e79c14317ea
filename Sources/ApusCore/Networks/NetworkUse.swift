public import ApusAPI

/// Which networks devices use.
public enum NetworkUse {
    /// The networks that some devices are on.
    public static func names(_ devices: DevicesMap) -> Set<String> {
        Set(
            devices.compactMap { name, config in
                let device = Device(name, config)
                guard device.type == "nic" else { return nil }
                return device.bridge ?? device["parent"]
            })
    }
}

extension ContainerService {
    /// URLs of containers by the network they use.
    public func networkUsers() -> [String: [String]] {
        var users: [String: [String]] = [:]
        for entry in entries.values.sorted(by: { $0.record.name < $1.record.name }) {
            for network in NetworkUse.names(expanded(entry.record).devices) {
                users[network, default: []].append("/1.0/instances/\(entry.record.name)")
            }
        }
        return users
    }

    /// Has the DHCP servers forget the interfaces of a container that is deleted, or gets another name.
    func forgetInterfaces(_ record: ContainerRecord, release: Bool) async {
        for (name, config) in expanded(record).devices {
            guard let bridge = Device(name, config).bridge else { continue }
            await networks.forget("\(record.name).\(name)", in: bridge, release: release)
        }
    }

    /// The addresses that containers on a network have been given by hand.
    public func chosenAddresses(in network: String) -> [NetworkLease] {
        entries.values.sorted { $0.record.name < $1.record.name }.flatMap { entry in
            expanded(entry.record).devices.sorted { $0.key < $1.key }.flatMap {
                name, config -> [NetworkLease] in
                let device = Device(name, config)
                guard device.type == "nic", device.bridge == network else { return [] }
                let address = device["hwaddr"] ?? entry.record.volatile["volatile.\(name).hwaddr"] ?? ""
                return ["ipv4.address", "ipv6.address"].compactMap { device[$0] }.map {
                    NetworkLease(
                        hostname: entry.record.name, hwaddr: address, address: $0, type: "static")
                }
            }
        }
    }
}
