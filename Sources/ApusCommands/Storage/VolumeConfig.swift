import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus storage volume edit`
package struct VolumeEdit: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "edit",
        abstract: "Edit a volume with the editor of VISUAL or EDITOR.",
        discussion: """
            Reads YAML from standard input if that is no terminal. If somebody else changes the volume in the \
            meantime, the editor opens again with your text and with what it is now.

            EXAMPLES:
              apus storage volume edit fast data
              apus storage volume edit fast data < volume.yaml
            """)

    @OptionGroup package var target: VolumeArgument

    package init() {}

    package func run() async throws {
        try await target.storage().edit(try target.session())
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

    @OptionGroup package var target: VolumeArgument
    @Argument(help: ArgumentHelp("The key.", valueName: "key"))
    package var key: String

    package init() {}

    package func run() async throws {
        let session = try target.session()
        session.output.print(
            try await target.storage().value(of: key, session.client) ?? "")
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

    @OptionGroup package var target: VolumeArgument

    @Argument(help: ArgumentHelp("KEY VALUE, or KEY=VALUE….", valueName: "key=value"))
    package var settings: [String]

    package init() {}

    package func validate() throws { _ = try Settings.keys(settings) }

    package func run() async throws {
        try await target.storage().set(
            try Settings.keys(settings), try target.session().client)
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

    @OptionGroup package var target: VolumeArgument

    @Argument(help: ArgumentHelp("The keys.", valueName: "key"))
    package var keys: [String]

    package init() {}

    package func run() async throws {
        try await target.storage().unset(keys, try target.session().client)
    }
}
