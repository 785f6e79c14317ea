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
            """)

    @Argument(help: ArgumentHelp("The containers.", valueName: "container"), completion: .containers)
    package var containers: [String]

    @OptionGroup package var global: GlobalOptions

    package init() {}

    /// What is sent to the daemon.
    package var request: InstanceStatePut { InstanceStatePut(action: "freeze", timeout: 0) }

    package func run() async throws {
        let request = request
        try await global.each(containers, "Pausing") { try await $0.changeState(of: $1, request) }
    }
}
