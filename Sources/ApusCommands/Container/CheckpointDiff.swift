import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus checkpoint diff`
package struct CheckpointDiffCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Show what differs between two saved running states.",
        discussion: """
            Processes, files, sockets and mounts that came or went, and memory and files that grew or shrank, from the \
            first to the second. A process is the same if its number and its name are; the files of one that came or \
            went are not listed.

            EXAMPLES:
              apus checkpoint diff c1/a c1/b
              apus checkpoint diff c1/a c1 --format json
            """)

    @Argument(
        help: ArgumentHelp(
            "A snapshot as CONTAINER/SNAPSHOT, or a container that was stopped with --stateful.",
            valueName: "before"),
        completion: .snapshots)
    package var before: String

    @Argument(help: ArgumentHelp("The other one.", valueName: "after"), completion: .snapshots)
    package var after: String

    @OptionGroup package var format: FormatOptions
    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let output = global.session.output
        let difference = CheckpointDifference(
            before, try await state(before), after, try await state(after))
        if difference.changes.isEmpty, format.format == .table {
            output.print("Nothing differs between \(before) and \(after).")
            return
        }
        output.write(try Rendering.list(difference, as: format.format) { difference.table })
    }

    private func state(_ text: String) async throws -> CheckpointState {
        let name = try SnapshotName(text)
        return try await global.session(on: name.remote).client
            .checkpoint(of: name.container, snapshot: name.snapshot)
    }
}
