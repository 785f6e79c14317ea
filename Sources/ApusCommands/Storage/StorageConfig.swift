import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus storage edit`
package struct StorageEdit: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "edit",
        abstract: "Edit a storage pool with the editor of VISUAL or EDITOR.",
        discussion: """
            Reads YAML from standard input if that is no terminal. If somebody else changes the pool in the \
            meantime, the editor opens again with your text and with what it is now.

            EXAMPLES:
              apus storage edit fast
              apus storage edit fast < pool.yaml
            """)

    @OptionGroup package var target: PoolArgument

    package init() {}

    package func run() async throws { try await target.storage().edit(try target.session()) }
}

/// `apus storage get`
package struct StorageGet: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Print the value of a key.",
        discussion: """
            EXAMPLES:
              apus storage get fast size
            """)

    @OptionGroup package var target: PoolArgument
    @Argument(help: ArgumentHelp("The key.", valueName: "key"))
    package var key: String

    package init() {}

    package func run() async throws {
        let session = try target.session()
        session.output.print(try await target.storage().value(of: key, session.client) ?? "")
    }
}

/// `apus storage set`
package struct StorageSet: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Set keys.",
        discussion: """
            EXAMPLES:
              apus storage set fast size 40GiB
              apus storage set fast size=40GiB user.owner=ann
            """)

    @OptionGroup package var target: PoolArgument

    @Argument(help: ArgumentHelp("KEY VALUE, or KEY=VALUE….", valueName: "key=value"))
    package var settings: [String]

    package init() {}

    package func validate() throws { _ = try Settings.keys(settings) }

    package func run() async throws {
        try await target.storage().set(try Settings.keys(settings), try target.session().client)
    }
}

/// `apus storage unset`
package struct StorageUnset: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "unset",
        abstract: "Take keys away.",
        discussion: """
            EXAMPLES:
              apus storage unset fast user.owner
            """)

    @OptionGroup package var target: PoolArgument

    @Argument(help: ArgumentHelp("The keys.", valueName: "key"))
    package var keys: [String]

    package init() {}

    package func run() async throws { try await target.storage().unset(keys, try target.session().client) }
}
