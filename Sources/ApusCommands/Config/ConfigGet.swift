import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus config get`
package struct ConfigGet: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Print the value of a key.",
        discussion: """
            EXAMPLES:
              apus config get c1 limits.memory
            """)

    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    @Argument(help: ArgumentHelp("The key.", valueName: "key"))
    package var key: String

    @Flag(name: .long, help: "Look into the profiles as well.")
    package var expanded = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = global.session
        let instance = try await session.client.instance(try ContainerName(container).name)
        session.output.print((expanded ? instance.expandedConfig : instance.config)[key] ?? "")
    }
}
