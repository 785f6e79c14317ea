package import ApusAPI
import ApusClient
package import ArgumentParser
import Glibc
import NIOCore

/// `apus export`
package struct Export: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a container with its snapshots and saved states to a file.",
        discussion: """
            A running container's files are taken as they are at one instant. The target is a file's name, a directory, \
            or "-" for standard output; left out, the file is named after the container. LXD reads these files, too; \
            it takes no notice of saved states.

            EXAMPLES:
              apus export c1
              apus export c1 /backup/c1.tar.zst
              apus export c1 c1.tar.gz --compression gzip --instance-only
            """)

    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    @Argument(help: ArgumentHelp("Where to write it.", valueName: "target"), completion: .file())
    package var target: String?

    @Flag(
        name: [.customLong("instance-only"), .customLong("container-only")],
        help: "Leave the snapshots out.")
    package var instanceOnly = false

    @Flag(name: .long, help: "LXD's: refused, because every pool can take these files in.")
    package var optimizedStorage = false

    @Option(
        help: ArgumentHelp(
            "zstd, gzip, xz, bzip2 or none; the daemon's backups.compression_algorithm without it.",
            valueName: "algorithm"))
    package var compression: String?

    @OptionGroup package var global: GlobalOptions

    package init() {}

    /// What is sent to the daemon.
    package var request: InstanceBackupsPost {
        var post = InstanceBackupsPost()
        // Should this program be killed before it has fetched it.
        post.expiresAt = Timestamp(seconds: Timestamp.now().seconds + 24 * 3600)
        post.instanceOnly = instanceOnly
        post.containerOnly = instanceOnly
        post.optimizedStorage = optimizedStorage
        post.compressionAlgorithm = compression ?? ""
        return post
    }

    package func run() async throws {
        let session = try global.session(of: container)
        let name = try ContainerName(container).name
        let made = try await session.finish(
            try await session.client.createBackup(of: name, request), "Exporting \(name)")
        guard let backup = made.resources?["backups"]?.first?.split(separator: "/").last.map(String.init)
        else { throw Failure("apusd did not say which backup it has made") }
        let outcome: Result<String, any Error>
        do {
            outcome = .success(try await fetch(backup, of: name, session))
        } catch {
            outcome = .failure(error)
        }
        do {
            try await session.client.wait(for: try await session.client.deleteBackup(backup, of: name))
        } catch {
            session.output.remark("The daemon keeps its copy for a day: \(error)")
        }
        let path = try outcome.get()
        if path != "-" { session.output.announce("Container exported to \(path)") }
    }

    private func fetch(_ backup: String, of name: String, _ session: Session) async throws -> String {
        let display =
            target == "-" ? nil : ProgressDisplay(label: "Exporting \(name)", quiet: session.output.quiet)
        let target = target
        let path = try await session.client.exportBackup(backup, of: name) { filename, size, body in
            let meter = TransferMeter(display: display, stage: "receiving", total: size)
            if target == "-" {
                while let bytes = try await body.next() { try FileIO.writeAll(bytes, to: STDOUT_FILENO) }
                return "-"
            }
            let own = filename ?? name + ".tar"
            let folder = target.flatMap { (try? FileStatus($0))?.kind == .directory ? $0 : nil }
            let path = folder.map { PathText.join($0, own) } ?? target ?? own
            do {
                try await FileIO.with(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600) { descriptor in
                    while let bytes = try await body.next() {
                        try FileIO.writeAll(bytes, to: descriptor)
                        await meter.count(bytes.readableBytes)
                    }
                }
            } catch {
                // Half a backup is not to be taken for one.
                if (try? FileStatus(path))?.kind == .file { unlink(path) }
                throw error
            }
            return path
        }
        await display?.finish()
        return path
    }
}
