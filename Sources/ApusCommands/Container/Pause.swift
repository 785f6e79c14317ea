package import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus pause`
package struct Pause: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Freeze containers: their processes stand still until they are started again.",
        discussion: """
            EXAMPLES:
              apus pause c1
              apus start c1
              apus pause --all
            """)

    @OptionGroup package var selection: ContainerSelection

    @OptionGroup package var global: GlobalOptions

    package init() {}

    /// What is sent to the daemon.
    package var request: InstanceStatePut { InstanceStatePut(action: "freeze", timeout: 0) }

    package func run() async throws {
        let request = request
        let names = try await selection.names(global, in: [.running])
        try await global.each(names, "Pausing") { try await $0.changeState(of: $1, request) }
    }
}
