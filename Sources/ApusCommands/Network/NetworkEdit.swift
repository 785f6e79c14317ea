package import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus network edit`
package struct NetworkEdit: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "edit",
        abstract: "Edit a network with the editor of VISUAL or EDITOR.",
        discussion: """
            Reads YAML from standard input if that is no terminal. If somebody else changes the network in the \
            meantime, the editor opens again with your text and with what it is now.

            EXAMPLES:
              apus network edit apusbr0
              apus network edit apusbr0 < apusbr0.yaml
            """)

    @OptionGroup package var target: NetworkArgument

    package init() {}

    package func run() async throws {
        let session = try target.session()
        let name = target.name
        let loop = EditLoop<EditableNetwork>(
            preface: "# The network, as YAML. What stands behind a # is ignored.\n", noun: "network",
            fetch: {
                let (network, etag) = try await session.client.taggedNetwork(name)
                return (EditableNetwork(network), etag)
            },
            send: { edited, etag in
                try await session.client.updateNetwork(name, edited.request, etag: etag)
            })
        try await loop.run(session.output)
    }
}

/// The part of a network that people edit, as YAML shows it.
package struct EditableNetwork: Editable, Equatable {
    package var config: ConfigMap?
    package var description: String?

    package enum CodingKeys: String, CodingKey, CaseIterable { case config, description }

    package static let readOnly: Set = ["name", "type", "used_by", "managed", "status", "locations"]

    package init(_ network: Network) {
        config = network.config
        description = network.description
    }

    var request: NetworkPut {
        var put = NetworkPut()
        put.config = config ?? [:]
        put.description = description ?? ""
        return put
    }
}
