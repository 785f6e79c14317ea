import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus network get`
package struct NetworkGet: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Print one key.",
        discussion: """
            EXAMPLES:
              apus network get apusbr0 ipv4.address
            """)

    @OptionGroup package var target: NetworkArgument

    @Argument(help: ArgumentHelp("The key.", valueName: "key"))
    package var key: String

    package init() {}

    package func run() async throws {
        let session = try target.session()
        let network = try await session.client.network(target.name)
        session.output.write((network.config[key] ?? "") + "\n")
    }
}

/// `apus network set`
package struct NetworkSet: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Set keys.",
        discussion: """
            Either one key and its value, or any number of KEY=VALUE.

            EXAMPLES:
              apus network set apusbr0 ipv4.nat false
              apus network set apusbr0 ipv4.nat=false dns.domain=lab
            """)

    @OptionGroup package var target: NetworkArgument

    @Argument(help: ArgumentHelp("KEY VALUE, or KEY=VALUE….", valueName: "key=value"))
    package var settings: [String]

    package init() {}

    package func validate() throws { _ = try Settings.keys(settings) }

    package func run() async throws {
        let keys = try Settings.keys(settings)
        try await target.session().client.changeNetwork(target.name) {
            $0.config.merge(keys) { _, new in new }
        }
    }
}

/// `apus network unset`
package struct NetworkUnset: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "unset",
        abstract: "Unset a key.",
        discussion: """
            EXAMPLES:
              apus network unset apusbr0 dns.domain
            """)

    @OptionGroup package var target: NetworkArgument

    @Argument(help: ArgumentHelp("The key.", valueName: "key"))
    package var key: String

    package init() {}

    package func run() async throws {
        let key = key
        try await target.session().client.changeNetwork(target.name) {
            $0.config[key] = nil
        }
    }
}

extension Client {
    /// Changes keys of a network; begins anew if somebody else was quicker.
    func changeNetwork(_ name: String, _ edit: (inout NetworkPut) throws -> Void) async throws {
        try await Client.change {
            let (network, etag) = try await taggedNetwork(name)
            var put = NetworkPut()
            put.config = network.config
            put.description = network.description
            return (put, etag)
        } _: {
            try edit(&$0)
        } send: { put, etag in
            try await updateNetwork(name, put, etag: etag)
        }
    }
}
