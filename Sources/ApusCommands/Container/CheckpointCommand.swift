import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus checkpoint`
package struct CheckpointCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "checkpoint",
        abstract: "Find out whether a running state can be saved, and what saved ones hold.",
        discussion: """
            EXAMPLES:
              apus checkpoint check c1
              apus checkpoint check --explain io-uring
              apus checkpoint show c1/s1
              apus checkpoint diff c1/s1 c1/s2
            """,
        subcommands: [CheckpointCheckCommand.self, CheckpointShowCommand.self, CheckpointDiffCommand.self])

    package init() {}
}

/// `apus checkpoint check`
package struct CheckpointCheckCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Look for what stands in the way of saving a container's running state.",
        discussion: """
            Nothing is stopped. Every snapshot and stop with --stateful, and every move, looks for the same before it \
            begins. Exits with 1 if something stands in the way.

            EXAMPLES:
              apus checkpoint check c1
              apus checkpoint check host2:c1 --format json
              apus checkpoint check --explain io-uring
            """)

    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String?

    @Option(
        help: ArgumentHelp(
            "Say what is known of a finding, instead; \"all\" lists what is looked for.", valueName: "id"))
    package var explain: String?

    @OptionGroup package var format: FormatOptions
    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        if container == nil && explain == nil {
            throw ValidationError("Say which container, or --explain ID.")
        }
    }

    package func run() async throws {
        let session = try global.session(of: container)
        if let explain { return try await tell(of: explain, session) }
        guard let container else { return }
        let name = try ContainerName(container).name
        let check = try await session.client.checkCheckpoint(name)
        if format.format == .table, check.findings.isEmpty {
            let time = Units.fixed(Double(check.tookMicroseconds) / 1000, 1)
            session.output.print(
                "Nothing stands in the way of saving \(name): \(check.processes) processes looked at in \(time) ms"
            )
            return
        }
        session.output.write(
            try Rendering.list(check, as: format.format) {
                Table(
                    header: ["ID", "LEVEL", "PID", "PROCESS", "UNIT", "WHAT", "WHY", "WHAT TO DO"],
                    rows: check.findings.map {
                        [
                            $0.id, $0.level, $0.pid == 0 ? "" : String($0.pid), $0.process, $0.unit,
                            $0.object,
                            $0.reason, $0.advice,
                        ]
                    })
            })
        if !check.possible { throw ExitCode(1) }
    }

    private func tell(of id: String, _ session: Session) async throws {
        let rules = try await session.client.checkpointRules()
        let wanted = id == "all" ? rules : rules.filter { $0.id == id }
        guard !wanted.isEmpty else {
            throw Failure(
                "there is no finding \"\(id)\"; they are: " + rules.map(\.id).joined(separator: ", "))
        }
        session.output.write(
            try Rendering.list(wanted, as: format.format) {
                Table(
                    header: ["ID", "LEVEL", "WHAT", "WHY", "WHAT TO DO"],
                    rows: wanted.map { [$0.id, $0.level, $0.title, $0.reason, $0.advice] })
            })
    }
}
