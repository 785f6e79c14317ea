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

    @Argument(help: ArgumentHelp("The network.", valueName: "network"))
    package var network: String

    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    @Argument(help: ArgumentHelp("The device; by default the network.", valueName: "device"))
    package var device: String?

    @Argument(
        help: ArgumentHelp("The interface's name inside; by default the device.", valueName: "interface"))
    package var interface: String?

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = global.session
        let name = try ContainerName(container).name
        let network = try await session.client.network(try ResourceName(network).local())
        let (instance, etag) = try await session.client.getTagged("/1.0/instances/\(name)", as: Instance.self)
        var put = EditableInstance(instance).request
        try put.devices.attach(network, device: device, interface: interface)
        try await session.finish(
            try await session.client.updateInstance(name, put, etag: etag), "Changing \(name)")
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

    @Argument(help: ArgumentHelp("The network.", valueName: "network"))
    package var network: String

    @Argument(help: ArgumentHelp("The profile.", valueName: "profile"), completion: .profiles)
    package var profile: String

    @Argument(help: ArgumentHelp("The device; by default the network.", valueName: "device"))
    package var device: String?

    @Argument(
        help: ArgumentHelp("The interface's name inside; by default the device.", valueName: "interface"))
    package var interface: String?

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let client = global.session.client
        let network = try await client.network(try ResourceName(network).local())
        try await client.changeDevices(ofProfile: try ResourceName(profile).local()) {
            try $0.attach(network, device: device, interface: interface)
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

    @Argument(help: ArgumentHelp("The network.", valueName: "network"))
    package var network: String

    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    @Argument(help: ArgumentHelp("The device; needed if there are several.", valueName: "device"))
    package var device: String?

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = global.session
        let name = try ContainerName(container).name
        let (instance, etag) = try await session.client.getTagged("/1.0/instances/\(name)", as: Instance.self)
        var put = EditableInstance(instance).request
        try put.devices.detach(try ResourceName(network).local(), device: device, from: name)
        try await session.finish(
            try await session.client.updateInstance(name, put, etag: etag), "Changing \(name)")
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

    @Argument(help: ArgumentHelp("The network.", valueName: "network"))
    package var network: String

    @Argument(help: ArgumentHelp("The profile.", valueName: "profile"), completion: .profiles)
    package var profile: String

    @Argument(help: ArgumentHelp("The device; needed if there are several.", valueName: "device"))
    package var device: String?

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let client = global.session.client
        let name = try ResourceName(profile).local()
        try await client.changeDevices(ofProfile: name) {
            try $0.detach(try ResourceName(network).local(), device: device, from: name)
        }
    }
}

extension DevicesMap {
    /// Adds a NIC on a network.
    fileprivate mutating func attach(_ network: Network, device: String?, interface: String?) throws {
        let name = device ?? network.name
        guard self[name] == nil else {
            throw Failure("there is a device \(name) already; name another: apus network attach … <device>")
        }
        var config = ["type": "nic"]
        if network.managed {
            config["network"] = network.name
        } else {
            config["nictype"] = network.type == "bridge" ? "bridged" : "macvlan"
            config["parent"] = network.name
        }
        if let interface = interface ?? device { config["name"] = interface }
        self[name] = config
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

extension Client {
    fileprivate func changeDevices(ofProfile name: String, _ edit: (inout DevicesMap) throws -> Void)
        async throws
    {
        let (profile, etag) = try await getTagged("/1.0/profiles/\(name)", as: Profile.self)
        var put = ProfilePut()
        put.config = profile.config
        put.description = profile.description
        put.devices = profile.devices
        try edit(&put.devices)
        try await updateProfile(name, put, etag: etag)
    }
}
