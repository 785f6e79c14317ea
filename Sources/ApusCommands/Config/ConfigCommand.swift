package import ArgumentParser

/// `apus config`
package struct ConfigCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Read and change the configuration of containers and of the daemon.",
        discussion: """
            EXAMPLES:
              apus config set c1 limits.memory=512MiB
              apus config get c1 limits.memory
              apus config show c1 --expanded
              apus config edit c1
              apus config device add c1 data disk source=/srv/data path=/data
              apus config set core.https_address :8443
              apus config trust add laptop
            """,
        subcommands: [
            ConfigGet.self, ConfigSet.self, ConfigUnset.self, ConfigShow.self, ConfigEdit.self,
            DeviceCommand<ContainerOwner>.self, TrustCommand.self,
        ])

    package init() {}
}
