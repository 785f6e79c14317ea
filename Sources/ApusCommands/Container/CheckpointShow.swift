import ApusAPI
import ApusClient
package import ArgumentParser
import Glibc

/// `apus checkpoint show`
package struct CheckpointShowCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show what a saved running state holds.",
        discussion: """
            Processes and their memory, open files, sockets, timers and mounts, as they were saved; when and by what, \
            and where the time went. Private and shared memory is saved; what is mapped of files is not, and pipes and the \
            like are listed with --only files.

            EXAMPLES:
              apus checkpoint show c1/before-upgrade
              apus checkpoint show c1
              apus checkpoint show host2:c1/s1 --format json
              apus checkpoint show c1/s1 --only files --format csv
              apus checkpoint show c1/s1 --svg s1.svg
            """)

    @Argument(
        help: ArgumentHelp(
            "A snapshot as CONTAINER/SNAPSHOT, or a container that was stopped with --stateful.",
            valueName: "name"),
        completion: .snapshots)
    package var name: String

    @Option(
        help: ArgumentHelp(
            "Show one part, whole: processes, files, sockets, timers or mounts.", valueName: "part"))
    package var only: CheckpointPart?

    @Option(
        help: ArgumentHelp(
            "Draw it into a file instead: the processes with their memory, and where the time went.",
            valueName: "file"),
        completion: .file())
    package var svg: String?

    @OptionGroup package var format: FormatOptions
    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        if svg != nil && only != nil { throw ValidationError("--svg draws the whole; leave --only out.") }
        if format.format == .csv && only == nil {
            throw ValidationError("Say which part, with --only: one list of values has one kind of rows.")
        }
    }

    package func run() async throws {
        let session = try global.session(of: name)
        let name = try SnapshotName(name)
        let state = try await session.client.checkpoint(of: name.container, snapshot: name.snapshot)
        if let svg {
            var text = CheckpointDrawing(state).svg
            try await FileIO.with(svg, O_WRONLY | O_CREAT | O_TRUNC) { descriptor in
                try text.withUTF8 { try FileIO.writeAll(UnsafeRawBufferPointer($0), to: descriptor) }
            }
            return
        }
        session.output.write(try CheckpointReport(state).text(only: only, as: format.format))
    }
}

/// A part of what a saved running state holds.
package enum CheckpointPart: String, CaseIterable, ExpressibleByArgument, Sendable {
    case processes, files, sockets, timers, mounts
}
