package import ArgumentParser

/// `apus config`
package struct ConfigCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Read and change a container's configuration.",
        discussion: """
            EXAMPLES:
              apus config set c1 limits.memory=512MiB
              apus config get c1 limits.memory
              apus config show c1 --expanded
              apus config edit c1
            """,
        subcommands: [
            ConfigGet.self, ConfigSet.self, ConfigUnset.self, ConfigShow.self, ConfigEdit.self,
        ])

    package init() {}
}
