import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus operation`
package struct OperationCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "operation",
        abstract: "See to what the daemon does in the background.",
        discussion: """
            EXAMPLES:
              apus operation list
              apus operation show 0c7cbd23-42a7-4bc2-9e0b-2f0a6c1d3a11
              apus operation delete 0c7cbd23-42a7-4bc2-9e0b-2f0a6c1d3a11
            """,
        subcommands: [OperationList.self, OperationShow.self, OperationDelete.self])

    package init() {}
}

/// `apus operation list`
package struct OperationList: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List operations that run, and those that ended just now.",
        discussion: """
            EXAMPLES:
              apus operation list
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
        let operations = try await session.client.operations()
        session.output.write(
            try Rendering.list(operations, as: format.format) {
                Table(
                    header: ["ID", "TYPE", "DESCRIPTION", "STATE", "CANCELABLE", "CREATED"],
                    rows: operations.map {
                        [
                            $0.id, $0.class.uppercased(), $0.description, $0.status.uppercased(),
                            $0.mayCancel ? "YES" : "NO", Units.moment($0.createdAt),
                        ]
                    })
            })
    }
}

/// `apus operation show`
package struct OperationShow: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print an operation as YAML.",
        discussion: """
            EXAMPLES:
              apus operation show 0c7cbd23-42a7-4bc2-9e0b-2f0a6c1d3a11
            """)

    @Argument(help: ArgumentHelp("Its id.", valueName: "id"))
    package var id: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: id)
        session.output.write(
            try Rendering.yaml(try await session.client.operation(try session.name(id))))
    }
}

/// `apus operation delete`
package struct OperationDelete: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Cancel operations; what they did so far is undone.",
        discussion: """
            EXAMPLES:
              apus operation delete 0c7cbd23-42a7-4bc2-9e0b-2f0a6c1d3a11
            """)

    @Argument(help: ArgumentHelp("Their ids.", valueName: "id"))
    package var ids: [String]

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        for id in ids {
            let session = try global.session(of: id)
            try await session.client.cancelOperation(try session.name(id))
            session.output.announce("Operation \(id) deleted")
        }
    }
}
