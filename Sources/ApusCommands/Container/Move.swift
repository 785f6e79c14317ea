import ApusClient
package import ArgumentParser

/// `apus move`
package struct Move: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "move",
        abstract:
            "Give a stopped container, or a snapshot, another name, or a container another storage pool.",
        discussion: """
            A container that moves to another storage pool takes its snapshots along, and keeps its ids, its addresses \
            and its saved states.

            EXAMPLES:
              apus move c1 web
              apus move c1 --storage fast
              apus move c1/s1 c1/before-upgrade
            """,
        aliases: ["mv"])

    @OptionGroup package var renaming: Renaming

    @Option(
        name: .shortAndLong, help: ArgumentHelp("The storage pool to move to.", valueName: "pool"),
        completion: .pools)
    package var storage: String?

    package init() {}

    package func validate() throws {
        if storage == nil && renaming.name == nil {
            throw ValidationError("Give the new name, or another storage pool with --storage.")
        }
    }

    package func run() async throws {
        if let storage {
            let session = try renaming.global.session(of: renaming.source)
            let name = try ContainerName(renaming.source).name
            try await session.finish(
                try await session.client.moveInstance(name, toPool: storage), "Moving \(name)")
        }
        if renaming.name != nil { try await renaming.run() }
    }
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

    @OptionGroup package var renaming: Renaming

    package init() {}

    package func validate() throws {
        if renaming.name == nil { throw ValidationError("Give the new name.") }
    }

    package func run() async throws { try await renaming.run() }
}

/// What `move` and `rename` do on one machine.
package struct Renaming: ParsableArguments {
    @Argument(
        help: ArgumentHelp("The container, or CONTAINER/SNAPSHOT.", valueName: "source"),
        completion: .snapshots)
    package var source: String

    @Argument(help: ArgumentHelp("Its new name.", valueName: "name"))
    package var name: String?

    @OptionGroup package var global: GlobalOptions

    package init() {}

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
        guard let name else { return }
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
