import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus version`
package struct VersionCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Print the versions of the client and the daemon.",
        discussion: """
            EXAMPLES:
              apus version
            """)

    @Argument(
        help: ArgumentHelp("REMOTE: of the daemon, if it is not the default one.", valueName: "remote:"),
        completion: .hosts)
    package var remote: String?

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: remote)
        session.output.print("Client version: \(Version.current)")
        let daemon: String
        do {
            daemon = try await session.client.server().environment?.serverVersion ?? "unknown"
        } catch let error as ClientError where error.code == .unreachable || error.code == .notPermitted {
            daemon = "unreachable"
        }
        session.output.print("Server version: \(daemon)")
    }
}
