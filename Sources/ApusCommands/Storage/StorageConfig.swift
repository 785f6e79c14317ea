import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus storage edit`
package struct StorageEdit: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "edit",
        abstract: "Edit a storage pool with the editor of VISUAL or EDITOR.",
        discussion: """
            Reads YAML from standard input if that is no terminal. Refuses if somebody else changed it in the meantime.

            EXAMPLES:
              apus storage edit fast
              apus storage edit fast < pool.yaml
            """)

    @Argument(help: ArgumentHelp("The pool.", valueName: "pool"), completion: .pools)
    package var pool: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws { try await StorageTarget(pool: pool).edit(global.session) }
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

    @Argument(help: ArgumentHelp("The pool.", valueName: "pool"), completion: .pools)
    package var pool: String
    @Argument(help: ArgumentHelp("The key.", valueName: "key"))
    package var key: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = global.session
        session.output.print(try await StorageTarget(pool: pool).value(of: key, session.client) ?? "")
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

    @Argument(help: ArgumentHelp("The pool.", valueName: "pool"), completion: .pools)
    package var pool: String

    @Argument(help: ArgumentHelp("KEY VALUE, or KEY=VALUE….", valueName: "key=value"))
    package var settings: [String]

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws { _ = try Settings.keys(settings) }

    package func run() async throws {
        try await StorageTarget(pool: pool).set(try Settings.keys(settings), global.session.client)
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

    @Argument(help: ArgumentHelp("The pool.", valueName: "pool"), completion: .pools)
    package var pool: String

    @Argument(help: ArgumentHelp("The keys.", valueName: "key"))
    package var keys: [String]

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws { try await StorageTarget(pool: pool).unset(keys, global.session.client) }
}
