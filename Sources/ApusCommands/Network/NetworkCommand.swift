import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus network`
package struct NetworkCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "network",
        abstract: "See and change networks.",
        discussion: """
            EXAMPLES:
              apus network list
              apus network create apusbr1 ipv4.address=10.20.30.1/24
              apus network attach apusbr1 c1
            """,
        subcommands: [
            NetworkList.self, NetworkShow.self, NetworkCreate.self, NetworkGet.self, NetworkSet.self,
            NetworkUnset.self, NetworkEdit.self, NetworkDelete.self, NetworkRename.self, NetworkInfo.self,
            NetworkListLeases.self, NetworkAttach.self, NetworkAttachProfile.self, NetworkDetach.self,
            NetworkDetachProfile.self,
        ])

    package init() {}
}

/// The network that a command is about.
package struct NetworkArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The network.", valueName: "network"), completion: .networks)
    package var network: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    /// Its name.
    var name: String { ResourceName(network).name }

    /// A session with its daemon.
    func session() throws -> Session { try global.session(of: network) }
}
