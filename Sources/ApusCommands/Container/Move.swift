import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus move`
package struct Move: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "move",
        abstract: "Move a container to another host, while it runs; or give it another name.",
        discussion: """
            A running container goes with its processes, their memory and their connections: nobody hangs up. It stands \
            still for a moment only, and until the other host holds a whole one it runs on where it is, whatever \
            happens. Its snapshots go with it. On the same host it is only renamed, or moved to another storage pool with \
            its ids, addresses and saved states, and has to be stopped.

            The two hosts talk to each other directly: with --mode pull the target connects to the source, with push \
            the source to the target; with relay both talk to this program. Left out, it is what works.

            EXAMPLES:
              apus move c1 host2:                   # with its processes, if it runs
              apus move host1:c1 host2:web --mode relay
              apus move c1 host2: --stateless       # stopped, moved, and started there
              apus move c1 web                      # renamed
              apus move c1 --storage fast           # to another pool of the same host
              apus move c1/s1 c1/before-upgrade
            """,
        aliases: ["mv"])

    @Argument(
        help: ArgumentHelp("The container, or CONTAINER/SNAPSHOT.", valueName: "[remote:]source"),
        completion: .snapshots)
    package var source: String

    @Argument(help: ArgumentHelp("Where it goes, and its new name.", valueName: "[remote:]name"))
    package var destination: String?

    @Flag(
        name: .long,
        help: "Without its processes: it is stopped first, and started on the other host if it ran.")
    package var stateless = false

    @Option(help: ArgumentHelp("Who connects to whom: pull, push or relay.", valueName: "mode"))
    package var mode: RelocationMode?

    @Option(
        help: ArgumentHelp(
            "How the memory of a running container goes: auto, stop-copy, or post-copy, which loses it if a host or the network fails before all is there.",
            valueName: "memory"))
    package var memory = MemoryMode.auto

    @Flag(name: .long, help: "Leave the snapshots behind, which deletes them.")
    package var containerOnly = false

    @Flag(name: .long, help: ArgumentHelp("The newer name of --container-only.", visibility: .hidden))
    package var instanceOnly = false

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The storage pool to move to, or to use on the other host.", valueName: "pool"),
        completion: .pools)
    package var storage: String?

    @Option(help: ArgumentHelp("How what was measured is printed: json, or a line.", valueName: "format"))
    package var format: MoveFormat = .line

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        if storage == nil && destination == nil {
            throw ValidationError("Give the new name or host, or another storage pool with --storage.")
        }
    }

    /// On the same host: to another pool, or name.
    private func stay() async throws {
        if let storage {
            let session = try global.session(of: source)
            let name = try ContainerName(source).name
            try await session.finish(
                try await session.client.moveInstance(name, toPool: storage), "Moving \(name)")
        }
        if let destination { try await Renaming(source: source, name: destination, global: global).run() }
    }

    package func run() async throws {
        let from = ResourceName(source)
        guard let destination, ResourceName(destination).remote != from.remote else {
            return try await stay()
        }
        let to = ResourceName(destination)
        guard !from.name.contains("/") else {
            throw Failure(
                "a snapshot stays with its container. Make a container of it with: apus copy \(source) \(destination)"
            )
        }
        let name = try ContainerName(source).name
        let newName = to.name.isEmpty ? name : to.name
        let (here, there) = (try global.session(on: from.remote), try global.session(on: to.remote))
        let status = try await here.client.instance(name).statusCode
        guard status != StatusCode.frozen.rawValue else {
            throw Failure("\(name) is frozen; unfreeze it before moving it: apus start \(source)")
        }
        let ran = status == StatusCode.running.rawValue
        if ran && stateless {
            try await here.finish(
                try await here.client.changeState(of: name, InstanceStatePut(action: "stop")),
                "Stopping \(name)")
        }
        var relocation = Relocation(
            source: here, target: there, name: name, newName: newName, live: ran && !stateless, deletes: true)
        relocation.mode = mode
        relocation.memory = memory
        relocation.withoutSnapshots = containerOnly || instanceOnly
        let pool = storage
        relocation.adjust = { post in
            if let pool { post.devices["root"] = ["type": "disk", "path": "/", "pool": pool] }
        }
        let figures: JSONValue?
        do {
            figures = try await relocation.run()
        } catch {
            // As it was before.
            if ran && stateless {
                _ = try? await here.client.wait(
                    for: here.client.changeState(of: name, InstanceStatePut(action: "start")))
            }
            throw error
        }
        if try await here.client.instanceExists(name) {
            try await here.client.wait(for: try await here.client.deleteInstance(name))
        }
        if ran && stateless {
            try await there.finish(
                try await there.client.changeState(of: newName, InstanceStatePut(action: "start")),
                "Starting \(newName)")
        }
        switch format {
        case .json: here.output.print(String(decoding: try APIJSON.encode(figures ?? [:]), as: UTF8.self))
        case .line: here.output.announce(MoveSummary.line(newName, on: to.remote, figures))
        }
    }
}

/// How `move` prints what was measured.
package enum MoveFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case line, json
}

/// `apus rename`
package struct Rename: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "rename",
        abstract: "Give a stopped container, or a snapshot, another name.",
        discussion: """
            EXAMPLES:
              apus rename c1 web
              apus rename c1/s1 before-upgrade
            """)

    @Argument(
        help: ArgumentHelp("The container, or CONTAINER/SNAPSHOT.", valueName: "source"),
        completion: .snapshots)
    package var source: String

    @Argument(help: ArgumentHelp("Its new name.", valueName: "name"))
    package var name: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws { try await Renaming(source: source, name: name, global: global).run() }
}

/// What `move` and `rename` do on one host.
package struct Renaming {
    let source: String
    let name: String
    let global: GlobalOptions

    /// A snapshot's new name: alone, or behind its container.
    package static func snapshotName(_ text: String, of container: String) throws -> String {
        guard text.contains("/") else { return ResourceName(text).name }
        let target = try SnapshotName(text)
        guard target.container == container, let snapshot = target.snapshot else {
            throw Failure(
                "a snapshot stays with its container: \(container)/… cannot become \(text). "
                    + "Make a container of it with: apus copy")
        }
        return snapshot
    }

    func run() async throws {
        let session = try global.session(of: source)
        let old = try SnapshotName(source)
        if let snapshot = old.snapshot {
            let new = try Self.snapshotName(name, of: old.container)
            let operation = try await session.client.renameSnapshot(snapshot, of: old.container, to: new)
            try await session.finish(operation, "Renaming \(source)")
            return
        }
        let new = try ContainerName(name).name
        try await session.finish(
            try await session.client.renameInstance(old.container, to: new), "Renaming \(old.container)")
    }
}
