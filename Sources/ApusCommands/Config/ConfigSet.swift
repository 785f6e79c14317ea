import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus config set`
package struct ConfigSet: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Set keys of a container, or of the daemon. Limits of running containers change at once.",
        discussion: """
            Either one key and its value, or any number of KEY=VALUE. A value of "-" is read from standard input.

            EXAMPLES:
              apus config set c1 limits.memory 512MiB
              apus config set c1 limits.memory=512MiB limits.processes=200
              apus config set images.remote_cache_expiry=5
              apus config set host2: core.https_address :8443
            """)

    @Argument(
        help: ArgumentHelp(
            "The container; left out, or REMOTE:, for keys of the daemon.", valueName: "container"),
        completion: .containers)
    package var container: String

    @Argument(help: ArgumentHelp("KEY VALUE, or KEY=VALUE….", valueName: "key=value"))
    package var settings: [String] = []

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws { _ = try keys() }

    /// Whether the keys are the daemon's own.
    package var isServer: Bool { Settings.isServer(container) }

    /// The keys to set.
    package func keys() throws -> [String: String] {
        try Settings.keys(Settings.words(container, settings))
    }

    package func run() async throws {
        let session = try global.session(ofConfig: container)
        let keys = try Settings.reading(try keys())
        if isServer { return try await session.client.patchServer(keys) }
        var patch = InstancePatch()
        patch.config = keys
        let name = try ContainerName(container).name
        try await session.finish(try await session.client.patchInstance(name, patch), "Changing \(name)")
    }
}
