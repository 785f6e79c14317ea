import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus storage`
package struct StorageCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "storage",
        abstract: "See the storage pools.",
        discussion: """
            EXAMPLES:
              apus storage list
              apus storage show default
            """,
        subcommands: [StorageList.self, StorageShow.self])

    package init() {}
}

/// `apus storage list`
package struct StorageList: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List storage pools.",
        discussion: """
            EXAMPLES:
              apus storage list
            """)

    @OptionGroup package var format: FormatOptions
    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = global.session
        let pools = try await session.client.storagePools().sorted { $0.name < $1.name }
        session.output.write(
            try Rendering.list(pools, as: format.format) {
                Table(
                    header: ["NAME", "DRIVER", "SOURCE", "DESCRIPTION", "USED BY", "STATE"],
                    rows: pools.map {
                        [
                            $0.name, $0.driver, $0.config["source"] ?? "", $0.description,
                            String($0.usedBy.count),
                            $0.status.uppercased(),
                        ]
                    })
            })
    }
}

/// `apus storage show`
package struct StorageShow: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print a storage pool as YAML.",
        discussion: """
            EXAMPLES:
              apus storage show default
            """)

    @Argument(help: ArgumentHelp("The pool.", valueName: "pool"))
    package var pool: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = global.session
        session.output.write(
            try Rendering.yaml(try await session.client.storagePool(try ResourceName(pool).local())))
    }
}
