package import ArgumentParser

/// `apus remote get-default`
package struct RemoteGetDefault: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "get-default", abstract: "Print where names without a remote are looked up.",
        discussion: """
            EXAMPLES:
              apus remote get-default
            """)

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws { global.session.output.print(try Remotes.load().defaultRemote) }
}

/// `apus remote set-default`
package struct RemoteSetDefault: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "set-default",
        abstract: "Choose where names without a remote are looked up.",
        discussion: """
            EXAMPLES:
              apus remote set-default host2
              apus remote switch local
            """,
        aliases: ["switch"])

    @Argument(help: ArgumentHelp("The remote's name.", valueName: "name"), completion: .remotes)
    package var name: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        var remotes = try Remotes.load()
        guard try remotes.find(name).isDaemon else {
            throw Failure("\"\(name)\" has images but no containers, so it cannot be the default")
        }
        remotes.defaultRemote = name
        try remotes.save()
    }
}
