import ApusClient
package import ArgumentParser

/// `apus admin shutdown`
package struct AdminShutdown: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "shutdown",
        abstract: "Stop all containers cleanly and end the daemon.",
        discussion: """
            To end the daemon alone, send it SIGTERM (or systemctl stop apusd): containers run on.

            EXAMPLES:
              apus admin shutdown
              apus admin shutdown --timeout 60
            """)

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("How long to wait for its end; for ever if 0.", valueName: "seconds"))
    package var timeout = 0

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let client = global.session.client
        do {
            try await client.shutdown()
        } catch let error as ClientError where error.code == .broken {
            // It was quicker to end than to answer.
        }
        let end = timeout > 0 ? ContinuousClock.now + .seconds(timeout) : nil
        while true {
            do {
                try await client.ready()
            } catch let error as ClientError where error.code == .unreachable {
                return
            } catch {
                // It still answers, or is about to go.
            }
            if let end, ContinuousClock.now >= end {
                throw Failure("apusd has not ended within \(timeout) s; it still stops containers")
            }
            // Nothing tells when a socket's owner has gone.
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}
