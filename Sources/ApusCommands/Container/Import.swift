import ApusAPI
import ApusClient
package import ArgumentParser
import Glibc
import NIOCore

/// `apus import`
package struct Import: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Make a container of a file that apus export or lxc export has written.",
        discussion: """
            It has the snapshots and saved states that are in the file. Processes keep their user ids and network \
            addresses: where another container has them, only --stateless is possible.

            EXAMPLES:
              apus import c1.tar.zst
              apus import c1.tar.zst c2 --stateless
              apus import c1.tar.zst other: --storage fast
            """)

    @Argument(
        help: ArgumentHelp("The file; \"-\" for standard input.", valueName: "file"), completion: .file())
    package var file: String

    @Argument(
        help: ArgumentHelp("The container's name, if it is to have another one; REMOTE: for another host."))
    package var name: String?

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The storage pool, if it is to be in another one.", valueName: "pool"),
        completion: .pools)
    package var storage: String?

    @Flag(help: "Leave saved states out.")
    package var stateless = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: name)
        let wanted = try name.map { try session.name($0) }.flatMap { $0.isEmpty ? nil : $0 }
        let descriptor = file == "-" ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileFailure("open \(file)") }
        let display = ProgressDisplay(label: "Importing \(file)", quiet: session.output.quiet)
        let total = file == "-" ? nil : try FileStatus(file).size
        let meter = TransferMeter(display: display, stage: "sending", total: total)
        let operation = try await session.client.importBackup(
            name: wanted, pool: storage, stateless: stateless
        ) {
            let bytes = try FileIO.read(descriptor)
            await meter.count(bytes?.readableBytes ?? 0)
            return bytes
        }
        await display?.finish()
        try await session.finish(operation, "Importing \(file)")
        let made = operation.resources?["instances"]?.first?.split(separator: "/").last.map(String.init)
        session.output.announce("Container imported: \(session.qualified(made ?? wanted ?? ""))")
    }
}
