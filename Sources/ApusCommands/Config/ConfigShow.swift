package import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus config show`
package struct ConfigShow: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print a container's configuration as YAML, or the daemon's.",
        discussion: """
            EXAMPLES:
              apus config show c1
              apus config show c1 --expanded
              apus config show c1/s1
              apus config show
            """)

    @Argument(
        help: ArgumentHelp(
            "The container, or CONTAINER/SNAPSHOT; left out, or REMOTE:, for the daemon.",
            valueName: "container"),
        completion: .snapshots)
    package var container: String?

    @Flag(name: .shortAndLong, help: "With what comes from the profiles.")
    package var expanded = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: container)
        guard let container, !ResourceName(container).name.isEmpty else {
            let server = ["config": try await session.client.server().config]
            return session.output.write(try Rendering.yaml(server))
        }
        let name = try SnapshotName(container)
        if let snapshot = name.snapshot {
            let found = try await session.client.snapshot(snapshot, of: name.container)
            session.output.write(try Rendering.yaml(found))
            return
        }
        let instance = try await session.client.instance(name.container)
        session.output.write(try Rendering.yaml(EditableInstance(instance, expanded: expanded)))
    }
}

/// The part of a container that people edit, as YAML shows it.
package struct EditableInstance: Editable, Equatable {
    package var architecture: String
    package var config: [String: String]
    package var description: String
    package var devices: [String: [String: String]]
    package var ephemeral: Bool
    package var profiles: [String]

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case architecture, config, description, devices, ephemeral, profiles
    }

    package static let readOnly: Set = [
        "created_at", "last_used_at", "location", "name", "project", "stateful", "status", "status_code",
        "type",
    ]

    package init(_ instance: Instance, expanded: Bool = false) {
        architecture = instance.architecture
        config = expanded ? instance.expandedConfig : instance.config
        description = instance.description
        devices = expanded ? instance.expandedDevices : instance.devices
        ephemeral = instance.ephemeral
        profiles = instance.profiles
    }

    /// What is sent to the daemon.
    package var request: InstancePut {
        var put = InstancePut()
        put.architecture = architecture
        put.config = config
        put.description = description
        put.devices = devices
        put.ephemeral = ephemeral
        put.profiles = profiles
        return put
    }
}
