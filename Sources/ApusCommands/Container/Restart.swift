package import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus restart`
package struct Restart: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "restart",
        abstract: "Restart containers.",
        discussion: """
            EXAMPLES:
              apus restart c1
              apus restart c1 --force
              apus restart --all
            """)

    @OptionGroup package var selection: ContainerSelection

    @Flag(name: .shortAndLong, help: "Kill the processes instead of asking.")
    package var force = false

    @Option(
        help: ArgumentHelp("How long to wait for a clean end; 60 if it is not given.", valueName: "seconds"))
    package var timeout = -1

    @OptionGroup package var global: GlobalOptions

    package init() {}

    /// What is sent to the daemon.
    package var request: InstanceStatePut {
        InstanceStatePut(action: "restart", timeout: timeout, force: force)
    }

    package func run() async throws {
        let request = request
        let names = try await selection.names(global, in: [.running, .frozen])
        try await global.each(names, "Restarting") { try await $0.changeState(of: $1, request) }
    }
}
