import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus storage volume edit`
package struct VolumeEdit: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "edit",
        abstract: "Edit a volume with the editor of VISUAL or EDITOR.",
        discussion: """
            Reads YAML from standard input if that is no terminal. Refuses if somebody else changed it in the meantime.

            EXAMPLES:
              apus storage volume edit fast data
              apus storage volume edit fast data < volume.yaml
            """)

    @Argument(help: ArgumentHelp("The pool.", valueName: "pool"), completion: .pools)
    package var pool: String
    @Argument(help: ArgumentHelp("The volume.", valueName: "volume"))
    package var volume: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        try await StorageTarget(pool: pool, volume: volume).edit(global.session)
    }
}

/// `apus storage volume get`
package struct VolumeGet: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Print the value of a key.",
        discussion: """
            EXAMPLES:
              apus storage volume get fast data size
            """)

    @Argument(help: ArgumentHelp("The pool.", valueName: "pool"), completion: .pools)
    package var pool: String
    @Argument(help: ArgumentHelp("The volume.", valueName: "volume"))
    package var volume: String
    @Argument(help: ArgumentHelp("The key.", valueName: "key"))
    package var key: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = global.session
        session.output.print(
            try await StorageTarget(pool: pool, volume: volume).value(of: key, session.client) ?? "")
    }
}

/// `apus storage volume set`
package struct VolumeSet: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Set keys.",
        discussion: """
            EXAMPLES:
              apus storage volume set fast data size 40GiB
              apus storage volume set fast data size=40GiB user.owner=ann
            """)

    @Argument(help: ArgumentHelp("The pool.", valueName: "pool"), completion: .pools)
    package var pool: String
    @Argument(help: ArgumentHelp("The volume.", valueName: "volume"))
    package var volume: String

    @Argument(help: ArgumentHelp("KEY VALUE, or KEY=VALUE….", valueName: "key=value"))
    package var settings: [String]

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws { _ = try Settings.keys(settings) }

    package func run() async throws {
        try await StorageTarget(pool: pool, volume: volume).set(
            try Settings.keys(settings), global.session.client)
    }
}

/// `apus storage volume unset`
package struct VolumeUnset: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "unset",
        abstract: "Take keys away.",
        discussion: """
            EXAMPLES:
              apus storage volume unset fast data user.owner
            """)

    @Argument(help: ArgumentHelp("The pool.", valueName: "pool"), completion: .pools)
    package var pool: String
    @Argument(help: ArgumentHelp("The volume.", valueName: "volume"))
    package var volume: String

    @Argument(help: ArgumentHelp("The keys.", valueName: "key"))
    package var keys: [String]

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        try await StorageTarget(pool: pool, volume: volume).unset(keys, global.session.client)
    }
}
