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

    @OptionGroup package var target: NetworkArgument

    @Argument(help: ArgumentHelp("KEY=VALUE….", valueName: "key=value"))
    package var settings: [String] = []

    @Option(help: ArgumentHelp("Free text.", valueName: "text"))
    package var description = ""

    package init() {}

    package func validate() throws {
        guard settings.allSatisfy({ KeyValue(argument: $0) != nil }) else {
            throw ValidationError("Write KEY=VALUE as often as you like.")
        }
    }

    package func run() async throws {
        let session = try target.session()
        var post = NetworksPost(name: target.name)
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

    @OptionGroup package var target: NetworkArgument

    package init() {}

    package func run() async throws {
        let name = target.name
        try await target.session().client.deleteNetwork(name)
        target.global.session.output.announce("Network \(name) deleted")
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

    @OptionGroup package var target: NetworkArgument

    @Argument(help: ArgumentHelp("The new name.", valueName: "new-name"))
    package var newName: String

    package init() {}

    package func run() async throws {
        let name = ResourceName(newName).name
        try await target.session().client.renameNetwork(target.name, to: name)
        target.global.session.output.announce("Renamed to \(name)")
    }
}
