import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus network attach`
package struct NetworkAttach: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "attach",
        abstract: "Put a container on a network, also while it runs.",
        discussion: """
            EXAMPLES:
              apus network attach apusbr0 c1
              apus network attach apusbr0 c1 eth1 eth1
            """)

    @OptionGroup package var target: NetworkArgument

    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    @Argument(help: ArgumentHelp("The device; by default the network.", valueName: "device"))
    package var device: String?

    @Argument(
        help: ArgumentHelp("The interface's name inside; by default the device.", valueName: "interface"))
    package var interface: String?

    package init() {}

    package func run() async throws {
        let session = try target.session()
        _ = try session.name(container)
        let network = try await session.client.network(target.name)
        try await ContainerOwner(container).change(session) {
            try $0.devices.attach(network, device: device, interface: interface)
        }
    }
}

/// `apus network attach-profile`
package struct NetworkAttachProfile: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "attach-profile",
        abstract: "Put the containers of a profile on a network, also those that run.",
        discussion: """
            EXAMPLES:
              apus network attach-profile apusbr0 default eth0
            """)

    @OptionGroup package var target: NetworkArgument

    @Argument(help: ArgumentHelp("The profile.", valueName: "profile"), completion: .profiles)
    package var profile: String

    @Argument(help: ArgumentHelp("The device; by default the network.", valueName: "device"))
    package var device: String?

    @Argument(
        help: ArgumentHelp("The interface's name inside; by default the device.", valueName: "interface"))
    package var interface: String?

    package init() {}

    package func run() async throws {
        let session = try target.session()
        _ = try session.name(profile)
        let network = try await session.client.network(target.name)
        try await ProfileOwner(profile).change(session) {
            try $0.devices.attach(network, device: device, interface: interface)
        }
    }
}

/// `apus network detach`
package struct NetworkDetach: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "detach",
        abstract: "Take a container off a network, also while it runs.",
        discussion: """
            EXAMPLES:
              apus network detach apusbr0 c1
            """)

    @OptionGroup package var target: NetworkArgument

    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    @Argument(help: ArgumentHelp("The device; needed if there are several.", valueName: "device"))
    package var device: String?

    package init() {}

    package func run() async throws {
        let owner = try ContainerOwner(container)
        try await owner.change(try target.session()) {
            try $0.devices.detach(target.name, device: device, from: owner.name)
        }
    }
}

/// `apus network detach-profile`
package struct NetworkDetachProfile: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "detach-profile",
        abstract: "Take the containers of a profile off a network, also those that run.",
        discussion: """
            EXAMPLES:
              apus network detach-profile apusbr0 default
            """)

    @OptionGroup package var target: NetworkArgument

    @Argument(help: ArgumentHelp("The profile.", valueName: "profile"), completion: .profiles)
    package var profile: String

    @Argument(help: ArgumentHelp("The device; needed if there are several.", valueName: "device"))
    package var device: String?

    package init() {}

    package func run() async throws {
        let owner = try ProfileOwner(profile)
        try await owner.change(try target.session()) {
            try $0.devices.detach(target.name, device: device, from: owner.name)
        }
    }
}

extension Network {
    /// The keys of an interface on it.
    func nic(name: String?) -> [String: String] {
        var keys = ["type": "nic"]
        if managed {
            keys["network"] = self.name
        } else {
            keys["nictype"] = type == "bridge" ? "bridged" : "macvlan"
            keys["parent"] = self.name
        }
        if let name { keys["name"] = name }
        return keys
    }
}

extension DevicesMap {
    /// Adds a NIC on a network.
    fileprivate mutating func attach(_ network: Network, device: String?, interface: String?) throws {
        let name = device ?? network.name
        guard self[name] == nil else {
            throw Failure("there is a device \(name) already; name another: apus network attach … <device>")
        }
        self[name] = network.nic(name: interface ?? device)
    }

    /// Removes the NIC on a network.
    fileprivate mutating func detach(_ network: String, device: String?, from holder: String) throws {
        let found = filter {
            $0.value["type"] == "nic" && ($0.value["network"] == network || $0.value["parent"] == network)
                && (device == nil || $0.key == device)
        }.keys.sorted()
        guard let name = found.first else {
            throw Failure(
                "\(holder) has no device of its own on \(network)\(device.map { " named \($0)" } ?? "")")
        }
        guard found.count == 1 else {
            throw Failure(
                "\(holder) has several devices on \(network): \(found.joined(separator: ", ")); name one")
        }
        self[name] = nil
    }
}
