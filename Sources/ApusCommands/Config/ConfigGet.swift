import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus config get`
package struct ConfigGet: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Print the value of a key: of a container, or of the daemon.",
        discussion: """
            EXAMPLES:
              apus config get c1 limits.memory
              apus config get images.remote_cache_expiry
            """)

    @Argument(
        help: ArgumentHelp(
            "The container; left out, or REMOTE:, for a key of the daemon.", valueName: "container"),
        completion: .containers)
    package var container: String

    @Argument(help: ArgumentHelp("The key.", valueName: "key"))
    package var key: String?

    @Flag(name: .shortAndLong, help: "Look into the profiles as well.")
    package var expanded = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        if key == nil, !Settings.isServerKey(container) { throw ValidationError("Which key?") }
    }

    package func run() async throws {
        let session = try global.session(ofConfig: container)
        if Settings.isServer(container), let key = Settings.words(container, key.map { [$0] } ?? []).first {
            return session.output.print(try await session.client.server().config[key] ?? "")
        }
        guard let key else { return }
        let instance = try await session.client.instance(try ContainerName(container).name)
        session.output.print((expanded ? instance.expandedConfig : instance.config)[key] ?? "")
    }
}
