package import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus snapshot`
package struct SnapshotCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "snapshot",
        abstract: "Take a snapshot of a container.",
        discussion: """
            Without --stateful only the files are kept. With it, the running processes are saved as well, at the \
            same instant; the container runs on.

            EXAMPLES:
              apus snapshot c1
              apus snapshot c1 before-upgrade
              apus snapshot c1 s1 --stateful
            """)

    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    @Argument(help: ArgumentHelp("The snapshot's name; snapN if it is left out.", valueName: "name"))
    package var name: String?

    @Flag(name: .long, help: "Keep the running state, too.")
    package var stateful = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    /// What is sent to the daemon.
    package var request: InstanceSnapshotsPost { InstanceSnapshotsPost(name: name ?? "", stateful: stateful) }

    package func run() async throws {
        let session = try global.session(of: container)
        let container = try ContainerName(container).name
        try await session.finish(
            try await session.client.createSnapshot(of: container, request), "Snapshotting \(container)")
    }
}
