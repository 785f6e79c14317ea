import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus profile`
package struct ProfileCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "profile",
        abstract: "See the profiles: keys and devices that containers share.",
        discussion: """
            EXAMPLES:
              apus profile list
              apus profile show default
            """,
        subcommands: [ProfileList.self, ProfileShow.self])

    package init() {}
}

/// `apus profile list`
package struct ProfileList: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List profiles.",
        discussion: """
            EXAMPLES:
              apus profile list
            """)

    @OptionGroup package var format: FormatOptions
    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = global.session
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

    @Argument(help: ArgumentHelp("The profile.", valueName: "profile"), completion: .profiles)
    package var profile: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = global.session
        session.output.write(
            try Rendering.yaml(try await session.client.profile(try ResourceName(profile).local())))
    }
}
