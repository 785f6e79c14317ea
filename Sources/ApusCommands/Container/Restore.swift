package import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus restore`
package struct Restore: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Bring a container back to a snapshot.",
        discussion: """
            A stateful snapshot brings back its running processes as well; with --stateless only its files.

            EXAMPLES:
              apus restore c1 before-upgrade
              apus restore c1 s1 --stateless
            """)

    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    @Argument(help: ArgumentHelp("The snapshot's name.", valueName: "snapshot"))
    package var snapshot: String

    @Flag(name: .long, help: "Insist on the running state: fail if the snapshot has none.")
    package var stateful = false

    @Flag(name: .long, help: "Restore only the files.")
    package var stateless = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        if stateful && stateless { throw ValidationError("--stateful and --stateless exclude each other.") }
    }

    /// What is sent to the daemon, with what is known of the snapshot.
    package func request(snapshotIsStateful: Bool) throws -> InstancePut {
        if stateful && !snapshotIsStateful {
            throw Failure("the snapshot \(container)/\(snapshot) has no running state; leave --stateful out")
        }
        var put = InstancePut()
        put.restore = snapshot
        put.stateful = snapshotIsStateful && !stateless
        return put
    }

    package func run() async throws {
        let session = try global.session(of: container)
        let container = try ContainerName(container).name
        let present = try await session.client.snapshot(snapshot, of: container)
        try await session.finish(
            try await session.client.updateInstance(
                container, try request(snapshotIsStateful: present.stateful)),
            "Restoring \(container)")
    }
}
