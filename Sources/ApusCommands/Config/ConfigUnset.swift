import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus config unset`
package struct ConfigUnset: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "unset",
        abstract: "Take keys away, so that the profiles' or the built-in values hold again.",
        discussion: """
            EXAMPLES:
              apus config unset c1 limits.memory
            """)

    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    @Argument(help: ArgumentHelp("The keys.", valueName: "key"))
    package var keys: [String]

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = global.session
        let name = try ContainerName(container).name
        let (instance, etag) = try await session.client.getTagged(
            "/1.0/instances/\(name)", as: Instance.self)
        var put = InstancePut(instance)
        for key in keys { put.config[key] = nil }
        try await session.finish(
            try await session.client.updateInstance(name, put, etag: etag), "Changing \(name)")
    }
}
