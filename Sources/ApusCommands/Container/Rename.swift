import ApusClient
package import ArgumentParser

/// `apus rename`
package struct Rename: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "rename",
        abstract: "Give a stopped container another name.",
        discussion: """
            EXAMPLES:
              apus rename c1 web
            """)

    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    @Argument(help: ArgumentHelp("Its new name.", valueName: "name"))
    package var name: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = global.session
        let old = try ContainerName(container).name
        let new = try ContainerName(name).name
        try await session.finish(try await session.client.renameInstance(old, to: new), "Renaming \(old)")
    }
}
