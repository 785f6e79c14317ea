import ApusClient
public import ArgumentParser
import Certificates
import Glibc
import NIOCore

/// The program `apus`.
public struct Apus: AsyncParsableCommand {
    /// The tree of its commands.
    public static let configuration = CommandConfiguration(
        commandName: "apus",
        abstract: "Linux system containers that can be stopped in mid-sentence and go on elsewhere.",
        discussion: """
            EXAMPLES:
              apus admin init --auto            Set the daemon up, once.
              apus launch debian:12 c1          Create and start a container.
              apus exec c1 -- systemctl status  Run a command in it.
              apus snapshot c1 s1 --stateful    Keep its files and processes.
              apus restore c1 s1                Go on from that instant.

            The daemon is the one of the directory APUS_DIR (default /var/lib/apus), or that of another host: \
            every name may be written REMOTE:NAME (see apus remote). \
            A command exits with 0, with 1 if it failed, with 64 if it was called wrongly; \
            exec gives the command's own exit code.
            """,
        version: Version.current,
        groupedSubcommands: [
            CommandGroup(
                name: "Container",
                subcommands: [
                    Launch.self, Init.self, Copy.self, Move.self, Start.self, Stop.self, Restart.self,
                    Pause.self, Delete.self,
                    List.self,
                    Info.self, Exec.self, ConsoleCommand.self, SnapshotCommand.self, Restore.self,
                    CheckpointCommand.self,
                    Rename.self, Export.self, Import.self,
                    FileCommand.self,
                ]),
            CommandGroup(
                name: "Image and configuration",
                subcommands: [
                    ImageCommand.self, Publish.self, RemoteCommand.self, ConfigCommand.self,
                    ProfileCommand.self, NetworkCommand.self, StorageCommand.self,
                ]),
            CommandGroup(
                name: "Daemon",
                subcommands: [
                    AdminCommand.self, OperationCommand.self, Monitor.self, Query.self, VersionCommand.self,
                    Completion.self,
                ]),
        ])

    /// The root of the tree.
    public init() {}

    /// Runs the program and ends the process.
    public static func main() async {
        // One thread is plenty for a client, and the quickest to start.
        NIOSingletons.groupLoopCountSuggestion = 1
        do {
            var command: any ParsableCommand =
                if let plain = PlainCommands.read(CommandLine.arguments.dropFirst()) { plain } else {
                    try await asyncParseAsRoot()
                }
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            Glibc.exit(0)
        } catch {
            end(with: error)
        }
    }

    /// Ends the process as an error asks for it.
    private static func end(with error: any Error) -> Never {
        Terminal.restore()
        switch error {
        case let code as ExitCode: Glibc.exit(code.rawValue)
        case let error as ClientError: fail(error.message)
        case let error as Failure: fail(error.description)
        case let error as CertificateError: fail(error.message)
        case let error as FileFailure: fail(error.description)
        case is CancellationError: fail("cancelled")
        default: exit(withError: error)
        }
    }

    private static func fail(_ message: String) -> Never {
        Output.failure(message)
        Glibc.exit(1)
    }
}

/// The version of the client.
package enum Version {
    package static let current = "0.1.0"
}
