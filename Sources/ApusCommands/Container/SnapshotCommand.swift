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
              apus snapshot c1 nightly --reuse
            """)

    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    @Argument(help: ArgumentHelp("The snapshot's name; snapN if it is left out.", valueName: "name"))
    package var name: String?

    @Flag(name: .long, help: "Keep the running state, too.")
    package var stateful = false

    @Flag(
        name: .long,
        help: "Take the place of a snapshot of this name; the former one goes when the new one is whole.")
    package var reuse = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        if reuse && name == nil { throw ValidationError("--reuse needs the snapshot's name.") }
    }

    /// What is sent to the daemon.
    package var request: InstanceSnapshotsPost { InstanceSnapshotsPost(name: name ?? "", stateful: stateful) }

    package func run() async throws {
        let session = try global.session(of: container)
        let container = try ContainerName(container).name
        var request = request
        let former = request.name
        let replaces = reuse ? try await exists(former, of: container, session.client) : false
        if replaces { request.name = former + ".new" }
        try await session.finish(
            try await session.client.createSnapshot(of: container, request), "Snapshotting \(container)")
        guard replaces else { return }
        try await session.finish(
            try await session.client.deleteSnapshot(former, of: container), "Deleting \(container)/\(former)")
        try await session.finish(
            try await session.client.renameSnapshot(request.name, of: container, to: former),
            "Renaming \(container)/\(request.name)")
    }

    private func exists(_ snapshot: String, of container: String, _ client: Client) async throws -> Bool {
        do {
            _ = try await client.snapshot(snapshot, of: container)
            return true
        } catch let error as ClientError where error.isNotFound {
            return false
        }
    }
}
