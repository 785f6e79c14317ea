package import ArgumentParser

/// `apus admin`
package struct AdminCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "admin",
        abstract: "Set up and end the daemon.",
        discussion: """
            EXAMPLES:
              apus admin init --auto
              apus admin waitready --timeout 30
              apus admin shutdown
            """,
        subcommands: [AdminInit.self, AdminWaitReady.self, AdminShutdown.self])

    package init() {}
}
