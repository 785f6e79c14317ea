import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus profile list`
package struct ProfileList: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List profiles.",
        discussion: """
            EXAMPLES:
              apus profile list
            """,
        aliases: ["ls"])

    @Argument(
        help: ArgumentHelp("REMOTE: of the daemon, if it is not the default one.", valueName: "remote:"),
        completion: .hosts)
    package var remote: String?

    @OptionGroup package var format: FormatOptions
    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: remote)
        let profiles = try await session.client.profiles().sorted { $0.name < $1.name }
        session.output.write(
            try Rendering.list(profiles, as: format.format) {
                Table(
                    header: ["NAME", "DESCRIPTION", "USED BY"],
                    rows: profiles.map { [$0.name, $0.description, String($0.usedBy.count)] })
            })
    }
}

/// `apus profile show`
package struct ProfileShow: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print a profile as YAML.",
        discussion: """
            EXAMPLES:
              apus profile show default
            """)

    @OptionGroup package var target: ProfileArgument

    package init() {}

    package func run() async throws {
        let session = try target.global.session(of: target.profile)
        session.output.write(
            try Rendering.yaml(try await session.client.profile(try target.owner().name)))
    }
}

/// `apus profile get`
package struct ProfileGet: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Print the value of a key.",
        discussion: """
            EXAMPLES:
              apus profile get default limits.memory
            """)

    @OptionGroup package var target: ProfileArgument

    @Argument(help: ArgumentHelp("The key.", valueName: "key"))
    package var key: String

    package init() {}

    package func run() async throws {
        let session = try target.global.session(of: target.profile)
        let sheet = try await target.owner().load(session.client)
        session.output.print(sheet.config[key] ?? "")
    }
}
