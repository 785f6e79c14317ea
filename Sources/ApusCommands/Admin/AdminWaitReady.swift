import ApusClient
package import ArgumentParser

/// `apus admin waitready`
package struct AdminWaitReady: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "waitready",
        abstract: "Wait until the daemon has started and answers.",
        discussion: """
            EXAMPLES:
              apus admin waitready
              apus admin waitready --timeout 30
            """)

    @Option(name: .shortAndLong, help: ArgumentHelp("How long to wait; for ever if 0.", valueName: "seconds"))
    package var timeout = 0

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let client = global.session.client
        let end = timeout > 0 ? ContinuousClock.now + .seconds(timeout) : nil
        while true {
            do {
                return try await client.ready()
            } catch let error as ClientError where error.code == .notPermitted {
                throw error
            } catch {
                if let end, ContinuousClock.now >= end {
                    throw Failure("apusd was not ready within \(timeout) s: \(error)")
                }
            }
            // A socket that does not exist yet cannot be waited for.
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}
