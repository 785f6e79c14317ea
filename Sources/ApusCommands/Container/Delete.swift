import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus delete`
package struct Delete: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete containers or snapshots.",
        discussion: """
            EXAMPLES:
              apus delete c1
              apus delete c1/s1 c1/s2
              apus delete c1 c2 --force
            """)

    @Argument(
        help: ArgumentHelp("Containers, or snapshots as CONTAINER/SNAPSHOT.", valueName: "name"),
        completion: .snapshots)
    package var names: [String]

    @Flag(name: .shortAndLong, help: "Kill containers that run.")
    package var force = false

    @Flag(name: .shortAndLong, help: "Ask before each.")
    package var interactive = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        var chosen: [SnapshotName] = []
        for text in names {
            let name = try SnapshotName(text)
            if interactive, !confirmed(name, output: global.session.output) { continue }
            if !chosen.contains(name) { chosen.append(name) }
        }
        // Snapshots first: their container may be on the list, too.
        for name in chosen {
            guard let snapshot = name.snapshot else { continue }
            let session = try global.session(on: name.remote)
            let operation = try await session.client.deleteSnapshot(snapshot, of: name.container)
            try await session.finish(operation, "Deleting \(name.container)/\(snapshot)")
        }
        let force = force
        let containers = chosen.filter { $0.snapshot == nil }
            .map { ContainerName(remote: $0.remote, name: $0.container) }
        try await global.each(containers, "Deleting") { client, name in
            try await Self.delete(name, force: force, client: client)
        }
    }

    private static func delete(_ name: String, force: Bool, client: Client) async throws -> ApusAPI.Operation
    {
        let instance = try await client.instance(name)
        if instance.statusCode != StatusCode.stopped.rawValue {
            guard force else {
                throw Failure("\(name) is \(instance.status.lowercased()); stop it first, or use --force")
            }
            let stop = InstanceStatePut(action: "stop", timeout: -1, force: true)
            try await client.wait(for: try await client.changeState(of: name, stop))
            // An ephemeral container is gone by now.
            if instance.ephemeral {
                var done = ApusAPI.Operation()
                done.statusCode = StatusCode.success.rawValue
                return done
            }
        }
        return try await client.deleteInstance(name)
    }

    private func confirmed(_ name: SnapshotName, output: Output) -> Bool {
        let what = name.snapshot.map { "snapshot \(name.container)/\($0)" } ?? "container \(name.container)"
        output.write("Delete \(what)? (yes/no): ")
        let answer = readLine()?.lowercased() ?? ""
        return answer == "yes" || answer == "y"
    }
}
