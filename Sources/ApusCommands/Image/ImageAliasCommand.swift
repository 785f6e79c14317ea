import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus image alias`
package struct ImageAliasCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "alias",
        abstract: "See to the names of images.",
        discussion: """
            EXAMPLES:
              apus image alias list
              apus image alias create bookworm 3f2a81c09d4e
              apus image alias delete bookworm
            """,
        subcommands: [
            ImageAliasCreate.self, ImageAliasDelete.self, ImageAliasList.self, ImageAliasRename.self,
        ])

    package init() {}
}

/// `apus image alias create`
package struct ImageAliasCreate: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Give an image a name.",
        discussion: """
            EXAMPLES:
              apus image alias create bookworm 3f2a81c09d4e
            """)

    @Argument(help: ArgumentHelp("The name.", valueName: "alias"))
    package var alias: String

    @Argument(
        help: ArgumentHelp("The image, by fingerprint or another alias.", valueName: "image"),
        completion: .images)
    package var image: String

    @Option(help: ArgumentHelp("What the name is for.", valueName: "text"))
    package var description = ""

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: alias)
        let client = session.client
        let found = try await client.image(named: try session.name(image))
        try await client.createImageAlias(
            ImageAlias(
                name: try session.name(alias), target: found.fingerprint, description: description))
    }
}

/// `apus image alias delete`
package struct ImageAliasDelete: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Take names away; the images stay.",
        discussion: """
            EXAMPLES:
              apus image alias delete bookworm
            """)

    @Argument(help: ArgumentHelp("The names.", valueName: "alias"), completion: .images)
    package var aliases: [String]

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        for alias in aliases {
            let session = try global.session(of: alias)
            try await session.client.deleteImageAlias(try session.name(alias))
        }
    }
}

/// `apus image alias rename`
package struct ImageAliasRename: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "rename",
        abstract: "Change a name of an image.",
        discussion: """
            EXAMPLES:
              apus image alias rename bookworm debian12
            """)

    @Argument(help: ArgumentHelp("The name.", valueName: "alias"), completion: .images)
    package var alias: String

    @Argument(help: ArgumentHelp("The new name.", valueName: "new-alias"))
    package var newAlias: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: alias)
        try await session.client.renameImageAlias(try session.name(alias), to: try session.name(newAlias))
    }
}

/// `apus image alias list`
package struct ImageAliasList: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the names of images.",
        discussion: """
            EXAMPLES:
              apus image alias list
              apus image alias list --format csv
            """)

    @Argument(help: ArgumentHelp("Only names that begin so.", valueName: "beginning"))
    package var filter = ""

    @OptionGroup package var format: FormatOptions
    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: filter)
        let prefix = ResourceName(filter).name
        let aliases = try await session.client.imageAliases()
            .filter { $0.name.hasPrefix(prefix) || $0.target.hasPrefix(prefix) }
            .sorted { $0.name < $1.name }
        session.output.write(
            try Rendering.list(aliases, as: format.format) {
                Table(
                    header: ["ALIAS", "FINGERPRINT", "TYPE", "DESCRIPTION"],
                    rows: aliases.map {
                        [$0.name, String($0.target.prefix(12)), $0.type.uppercased(), $0.description]
                    })
            })
    }
}
