package import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus stop`
package struct Stop: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "stop",
        abstract: "Stop containers.",
        discussion: """
            Asks a container's init to shut down and waits for it. With --stateful, the running processes are \
            saved instead, and the next start continues them.

            EXAMPLES:
              apus stop c1
              apus stop c1 --stateful
              apus stop c1 c2 --timeout 30
              apus stop c1 --force
              apus stop --all
            """)

    @OptionGroup package var selection: ContainerSelection

    @Flag(name: .long, help: "Save the running state; the next start continues from it.")
    package var stateful = false

    @Flag(name: .shortAndLong, help: "Kill the processes instead of asking.")
    package var force = false

    @Option(
        help: ArgumentHelp("How long to wait for a clean end; 60 if it is not given.", valueName: "seconds"))
    package var timeout = -1

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        if stateful && force { throw ValidationError("--stateful and --force exclude each other.") }
    }

    /// What is sent to the daemon.
    package var request: InstanceStatePut {
        InstanceStatePut(action: "stop", timeout: timeout, force: force, stateful: stateful)
    }

    package func run() async throws {
        let request = request
        // A stateful stop is for processes that run; the others may be paused.
        let names = try await selection.names(global, in: stateful ? [.running] : [.running, .frozen])
        try await global.each(names, "Stopping") { try await $0.changeState(of: $1, request) }
    }
}
