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
              apus config unset images.remote_cache_expiry
            """)

    @Argument(
        help: ArgumentHelp(
            "The container; left out, or REMOTE:, for keys of the daemon.", valueName: "container"),
        completion: .containers)
    package var container: String

    @Argument(help: ArgumentHelp("The keys.", valueName: "key"))
    package var keys: [String] = []

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        if Settings.words(container, keys).isEmpty { throw ValidationError("Which keys?") }
    }

    package func run() async throws {
        let session = try global.session(ofConfig: container)
        if Settings.isServer(container) {
            let all = Settings.words(container, keys)
            return try await session.client.patchServer(
                Dictionary(uniqueKeysWithValues: Set(all).map { ($0, "") }))
        }
        try await ContainerOwner(container).change(session) { sheet in
            for key in keys { sheet.config[key] = nil }
        }
    }
}
