import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus network list`
package struct NetworkList: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List networks, and the machine's other interfaces.",
        discussion: """
            EXAMPLES:
              apus network list
            """)

    @Argument(
        help: ArgumentHelp("REMOTE: of the daemon, if it is not the default one.", valueName: "remote:"),
        completion: .hosts)
    package var remote: String?

    @OptionGroup package var format: FormatOptions
    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: remote)
        let networks = try await session.client.networks()
        session.output.write(
            try Rendering.list(networks, as: format.format) {
                Table(
                    header: ["NAME", "TYPE", "MANAGED", "IPV4", "IPV6", "DESCRIPTION", "USED BY", "STATE"],
                    rows: networks.map {
                        [
                            $0.name, $0.type, $0.managed ? "YES" : "NO", $0.config["ipv4.address"] ?? "",
                            $0.config["ipv6.address"] ?? "", $0.description, String($0.usedBy.count),
                            $0.status.uppercased(),
                        ]
                    })
            })
    }
}

/// `apus network show`
package struct NetworkShow: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print a network as YAML.",
        discussion: """
            EXAMPLES:
              apus network show apusbr0
            """)

    @OptionGroup package var target: NetworkArgument

    package init() {}

    package func run() async throws {
        let session = try target.session()
        session.output.write(
            try Rendering.yaml(try await session.client.network(target.name)))
    }
}

/// `apus network list-leases`
package struct NetworkListLeases: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list-leases",
        abstract: "List the addresses a network has handed out.",
        discussion: """
            EXAMPLES:
              apus network list-leases apusbr0
            """)

    @OptionGroup package var target: NetworkArgument

    @OptionGroup package var format: FormatOptions

    package init() {}

    package func run() async throws {
        let session = try target.session()
        let leases = try await session.client.networkLeases(target.name)
        session.output.write(
            try Rendering.list(leases, as: format.format) {
                Table(
                    header: ["HOSTNAME", "MAC ADDRESS", "IP ADDRESS", "TYPE"],
                    rows: leases.map { [$0.hostname, $0.hwaddr, $0.address, $0.type.uppercased()] })
            })
    }
}
