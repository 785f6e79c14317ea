import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus network create`
package struct NetworkCreate: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a network: a bridge with addresses, DHCP, DNS and NAT.",
        discussion: """
            EXAMPLES:
              apus network create apusbr1
              apus network create apusbr1 ipv4.address=10.20.30.1/24 ipv6.address=none
            """)

    @Argument(help: ArgumentHelp("The network.", valueName: "network"))
    package var network: String

    @Argument(help: ArgumentHelp("KEY=VALUE….", valueName: "key=value"))
    package var settings: [String] = []

    @Option(help: ArgumentHelp("Free text.", valueName: "text"))
    package var description = ""

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        guard settings.allSatisfy({ KeyValue(argument: $0) != nil }) else {
            throw ValidationError("Write KEY=VALUE as often as you like.")
        }
    }

    package func run() async throws {
        let session = global.session
        var post = NetworksPost(name: try ResourceName(network).local())
        post.config = settings.compactMap { KeyValue(argument: $0) }.dictionary
        post.description = description
        try await session.client.createNetwork(post)
        session.output.announce("Network \(post.name) created")
    }
}

/// `apus network delete`
package struct NetworkDelete: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete a network that nothing uses.",
        discussion: """
            EXAMPLES:
              apus network delete apusbr1
            """)

    @Argument(help: ArgumentHelp("The network.", valueName: "network"))
    package var network: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let name = try ResourceName(network).local()
        try await global.session.client.deleteNetwork(name)
        global.session.output.announce("Network \(name) deleted")
    }
}

/// `apus network rename`
package struct NetworkRename: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "rename",
        abstract: "Give a network that nothing uses another name.",
        discussion: """
            EXAMPLES:
              apus network rename apusbr1 office
            """)

    @Argument(help: ArgumentHelp("The network.", valueName: "network"))
    package var network: String

    @Argument(help: ArgumentHelp("The new name.", valueName: "new-name"))
    package var newName: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let name = try ResourceName(newName).local()
        try await global.session.client.renameNetwork(try ResourceName(network).local(), to: name)
        global.session.output.announce("Renamed to \(name)")
    }
}
