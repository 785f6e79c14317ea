import ApusClient
package import ArgumentParser

/// `apus config device`, `apus profile device`
package struct DeviceCommand<Owner: ConfigOwner>: AsyncParsableCommand {
    package static var configuration: CommandConfiguration {
        let prefix = "apus \(Owner.command) device"
        return CommandConfiguration(
            commandName: "device",
            abstract: "See to the devices of a \(Owner.noun).",
            discussion: """
                EXAMPLES:
                  \(prefix) add \(Owner.example) eth0 nic nictype=bridged parent=apusbr0
                  \(prefix) set \(Owner.example) root size=10GiB
                  \(prefix) list \(Owner.example)
                """,
            subcommands: [
                DeviceAdd<Owner>.self, DeviceGet<Owner>.self, DeviceList<Owner>.self,
                DeviceRemove<Owner>.self,
                DeviceSet<Owner>.self, DeviceShow<Owner>.self, DeviceUnset<Owner>.self,
            ] + (Owner.self == ContainerOwner.self ? [DeviceOverride.self] : []))
    }

    package init() {}
}

/// The container or profile that a device command is about.
package struct DeviceOwnerArgument<Owner: ConfigOwner>: ParsableArguments {
    @Argument(
        help: ArgumentHelp("The \(Owner.noun).", valueName: Owner.noun), completion: Owner.completion)
    package var name: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    func owner() throws -> Owner { try Owner(name) }
}

extension ConfigSheet {
    /// A device of its own, for an edit; says where it is if it comes from a profile.
    func ownDevice(_ device: String, of owner: some ConfigOwner) throws -> [String: String] {
        if let keys = devices[device] { return keys }
        if expandedDevices[device] != nil {
            throw Failure(
                "the device \"\(device)\" of \(owner.name) comes from a profile: change it there, or make it "
                    + "\(owner.name)'s own with: apus config device override \(owner.name) \(device)")
        }
        throw Failure("\(owner.name) has no device \"\(device)\"")
    }
}

/// `apus config device add`
package struct DeviceAdd<Owner: ConfigOwner>: AsyncParsableCommand {
    package static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "add",
            abstract: "Add a device to a \(Owner.noun); running containers get it at once.",
            discussion: """
                EXAMPLES:
                  apus \(Owner.command) device add \(Owner.example) eth0 nic nictype=bridged parent=apusbr0
                  apus \(Owner.command) device add \(Owner.example) data disk source=/srv/data path=/data
                """)
    }

    @OptionGroup package var target: DeviceOwnerArgument<Owner>

    @Argument(help: ArgumentHelp("The device's name.", valueName: "device"))
    package var device: String

    @Argument(help: ArgumentHelp("What kind of device: nic, disk, none.", valueName: "type"))
    package var type: String

    @Argument(help: ArgumentHelp("Its keys.", valueName: "key=value"))
    package var keys: [KeyValue] = []

    package init() {}

    package func run() async throws {
        let session = try target.global.session(of: target.name)
        let owner = try target.owner()
        try await owner.change(session) { sheet in
            guard sheet.devices[device] == nil else {
                throw Failure("\(owner.name) has a device \"\(device)\" already; see: device set")
            }
            sheet.devices[device] = keys.dictionary.merging(["type": type]) { $1 }
        }
        session.output.announce("Device \(device) added to \(owner.name)")
    }
}

/// `apus config device get`
package struct DeviceGet<Owner: ConfigOwner>: AsyncParsableCommand {
    package static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "get", abstract: "Print the value of a device's key.",
            discussion: """
                EXAMPLES:
                  apus \(Owner.command) device get \(Owner.example) root size
                """)
    }

    @OptionGroup package var target: DeviceOwnerArgument<Owner>

    @Argument(help: ArgumentHelp("The device's name.", valueName: "device"))
    package var device: String

    @Argument(help: ArgumentHelp("The key.", valueName: "key"))
    package var key: String

    package init() {}

    package func run() async throws {
        let session = try target.global.session(of: target.name)
        let owner = try target.owner()
        let sheet = try await owner.load(session.client)
        session.output.print(try sheet.ownDevice(device, of: owner)[key] ?? "")
    }
}

/// `apus config device list`
package struct DeviceList<Owner: ConfigOwner>: AsyncParsableCommand {
    package static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "list", abstract: "List the devices of a \(Owner.noun).",
            discussion: """
                EXAMPLES:
                  apus \(Owner.command) device list \(Owner.example)
                """,
            aliases: ["ls"])
    }

    @OptionGroup package var target: DeviceOwnerArgument<Owner>

    package init() {}

    package func run() async throws {
        let session = try target.global.session(of: target.name)
        for name in try await target.owner().load(session.client).devices.keys.sorted() {
            session.output.print(name)
        }
    }
}

/// `apus config device remove`
package struct DeviceRemove<Owner: ConfigOwner>: AsyncParsableCommand {
    package static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "remove",
            abstract: "Take devices away from a \(Owner.noun), also while it runs.",
            discussion: """
                EXAMPLES:
                  apus \(Owner.command) device remove \(Owner.example) eth0
                """,
            aliases: ["rm"])
    }

    @OptionGroup package var target: DeviceOwnerArgument<Owner>

    @Argument(help: ArgumentHelp("The devices' names.", valueName: "device"))
    package var devices: [String]

    package init() {}

    package func run() async throws {
        let session = try target.global.session(of: target.name)
        let owner = try target.owner()
        try await owner.change(session) { sheet in
            for device in devices {
                _ = try sheet.ownDevice(device, of: owner)
                sheet.devices[device] = nil
            }
        }
        for device in devices { session.output.announce("Device \(device) removed from \(owner.name)") }
    }
}

/// `apus config device set`
package struct DeviceSet<Owner: ConfigOwner>: AsyncParsableCommand {
    package static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "set", abstract: "Set keys of a device.",
            discussion: """
                Either one key and its value, or any number of KEY=VALUE.

                EXAMPLES:
                  apus \(Owner.command) device set \(Owner.example) root size 10GiB
                  apus \(Owner.command) device set \(Owner.example) eth0 ipv4.address=10.0.0.2 mtu=1400
                """)
    }

    @OptionGroup package var target: DeviceOwnerArgument<Owner>

    @Argument(help: ArgumentHelp("The device's name.", valueName: "device"))
    package var device: String

    @Argument(help: ArgumentHelp("KEY VALUE, or KEY=VALUE….", valueName: "key=value"))
    package var settings: [String]

    package init() {}

    package func validate() throws { _ = try Settings.keys(settings) }

    package func run() async throws {
        let session = try target.global.session(of: target.name)
        let owner = try target.owner()
        let keys = try Settings.keys(settings)
        try await owner.change(session) { sheet in
            sheet.devices[device] = try sheet.ownDevice(device, of: owner).merging(keys) { $1 }
                .filter { !$0.value.isEmpty }
        }
    }
}

/// `apus config device show`
package struct DeviceShow<Owner: ConfigOwner>: AsyncParsableCommand {
    package static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "show", abstract: "Print the devices of a \(Owner.noun) as YAML.",
            discussion: """
                EXAMPLES:
                  apus \(Owner.command) device show \(Owner.example)
                """)
    }

    @OptionGroup package var target: DeviceOwnerArgument<Owner>

    package init() {}

    package func run() async throws {
        let session = try target.global.session(of: target.name)
        session.output.write(
            try Rendering.yaml(try await target.owner().load(session.client).devices))
    }
}

/// `apus config device unset`
package struct DeviceUnset<Owner: ConfigOwner>: AsyncParsableCommand {
    package static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "unset", abstract: "Take keys of a device away.",
            discussion: """
                EXAMPLES:
                  apus \(Owner.command) device unset \(Owner.example) root size
                """)
    }

    @OptionGroup package var target: DeviceOwnerArgument<Owner>

    @Argument(help: ArgumentHelp("The device's name.", valueName: "device"))
    package var device: String

    @Argument(help: ArgumentHelp("The keys.", valueName: "key"))
    package var keys: [String]

    package init() {}

    package func run() async throws {
        let session = try target.global.session(of: target.name)
        let owner = try target.owner()
        try await owner.change(session) { sheet in
            sheet.devices[device] = try sheet.ownDevice(device, of: owner).filter { !keys.contains($0.key) }
        }
    }
}

/// `apus config device override`
package struct DeviceOverride: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "override",
        abstract: "Copy a device of a profile to a container, and set keys of it there.",
        discussion: """
            EXAMPLES:
              apus config device override c1 root size=10GiB
            """)

    @OptionGroup package var target: DeviceOwnerArgument<ContainerOwner>

    @Argument(help: ArgumentHelp("The device's name.", valueName: "device"))
    package var device: String

    @Argument(help: ArgumentHelp("Keys to set.", valueName: "key=value"))
    package var keys: [KeyValue] = []

    package init() {}

    package func run() async throws {
        let session = try target.global.session(of: target.name)
        let owner = try target.owner()
        try await owner.change(session) { sheet in
            guard sheet.devices[device] == nil else {
                throw Failure("\(owner.name) has a device \"\(device)\" of its own already; see: device set")
            }
            guard let inherited = sheet.expandedDevices[device] else {
                throw Failure("no profile of \(owner.name) has a device \"\(device)\"")
            }
            sheet.devices[device] = inherited.merging(keys.dictionary) { $1 }
        }
        session.output.announce("Device \(device) overridden for \(owner.name)")
    }
}
