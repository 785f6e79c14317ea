import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus config set`
package struct ConfigSet: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Set keys.",
        discussion: """
            Either one key and its value, or any number of KEY=VALUE. A value of "-" is read from standard input.

            EXAMPLES:
              apus config set c1 limits.memory 512MiB
              apus config set c1 limits.memory=512MiB limits.processes=200
            """)

    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    @Argument(help: ArgumentHelp("KEY VALUE, or KEY=VALUE….", valueName: "key=value"))
    package var settings: [String]

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws { _ = try keys() }

    /// The keys to set. KEY VALUE is LXD's older way of writing it.
    package func keys() throws -> [String: String] {
        let pairs = settings.compactMap { KeyValue(argument: $0) }
        if settings.count == 2, KeyValue(argument: settings[0]) == nil { return [settings[0]: settings[1]] }
        guard pairs.count == settings.count else {
            throw ValidationError("Write KEY VALUE, or KEY=VALUE as often as you like.")
        }
        return pairs.dictionary
    }

    package func run() async throws {
        let client = global.session.client
        var patch = InstancePatch()
        patch.config = try keys().mapValues { $0 == "-" ? try FileIO.standardInput() : $0 }
        try await client.patchInstance(try ContainerName(container).name, patch)
    }
}
