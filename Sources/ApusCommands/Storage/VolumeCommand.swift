import ApusAPI
import ApusClient
package import ArgumentParser
import NIOHTTP1

/// `apus storage volume`
package struct VolumeCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "volume",
        abstract: "Volumes that belong to no container, and that containers share.",
        discussion: """
            EXAMPLES:
              apus storage volume create fast data
              apus storage volume attach fast data c1 /srv/data
              apus storage volume detach fast data c1
            """,
        subcommands: [
            VolumeList.self, VolumeShow.self, VolumeCreate.self, VolumeEdit.self, VolumeGet.self,
            VolumeSet.self,
            VolumeUnset.self, VolumeRename.self, VolumeDelete.self, VolumeAttach.self,
            VolumeAttachProfile.self,
            VolumeDetach.self, VolumeDetachProfile.self,
        ])

    package init() {}
}

/// `apus storage volume list`
package struct VolumeList: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the volumes of a storage pool.",
        discussion: """
            EXAMPLES:
              apus storage volume list fast
              apus storage volume list fast --format csv
            """)

    @OptionGroup package var target: PoolArgument

    @OptionGroup package var format: FormatOptions

    package init() {}

    package func run() async throws {
        let session = try target.session()
        let path = try target.storage().path + "/volumes"
        let volumes = try await session.client.get(
            path, query: [("recursion", "1")], as: [StorageVolume].self
        )
        .sorted { ($0.type, $0.name) < ($1.type, $1.name) }
        session.output.write(
            try Rendering.list(volumes, as: format.format) {
                Table(
                    header: ["TYPE", "NAME", "DESCRIPTION", "CONTENT TYPE", "USED BY"],
                    rows: volumes.map {
                        [$0.type, $0.name, $0.description, $0.contentType, String($0.usedBy.count)]
                    })
            })
    }
}

/// `apus storage volume show`
package struct VolumeShow: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print a volume as YAML.",
        discussion: """
            Volumes of containers, snapshots and images have their type before their name, as the list shows it.

            EXAMPLES:
              apus storage volume show fast data
              apus storage volume show fast container/c1
            """)

    @OptionGroup package var target: VolumeArgument

    package init() {}

    package func run() async throws {
        let session = try target.session()
        let volume = try target.storage()
        session.output.write(
            try Rendering.yaml(try await session.client.get(volume.path, as: StorageVolume.self)))
    }
}

/// `apus storage volume create`
package struct VolumeCreate: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make an empty volume.",
        discussion: """
            EXAMPLES:
              apus storage volume create fast data
              apus storage volume create fast data size=5GiB
            """)

    @OptionGroup package var target: VolumeArgument

    @Argument(help: ArgumentHelp("Keys of the volume.", valueName: "key=value"))
    package var settings: [KeyValue] = []

    @Option(name: .long, help: ArgumentHelp("Free text about it.", valueName: "text"))
    package var description = ""

    package init() {}

    package func run() async throws {
        let session = try target.session()
        var post = StorageVolumesPost(
            name: target.name, config: settings.dictionary)
        post.description = description
        try await session.client.send(.POST, try target.poolPath() + "/volumes/custom", post)
        session.output.announce("Storage volume \(post.name) created")
    }
}

/// `apus storage volume rename`
package struct VolumeRename: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "rename",
        abstract: "Rename a volume that nothing uses.",
        discussion: """
            EXAMPLES:
              apus storage volume rename fast data files
            """)

    @OptionGroup package var target: VolumeArgument
    @Argument(help: ArgumentHelp("Its new name.", valueName: "new-name"))
    package var newName: String

    package init() {}

    package func run() async throws {
        let session = try target.session()
        let volume = try target.storage()
        let name = StorageTarget.volumeName(newName)
        try await session.client.send(.POST, volume.path, StorageVolumePost(name: name))
        session.output.announce("Renamed to \(name)")
    }
}

/// `apus storage volume delete`
package struct VolumeDelete: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete a volume that nothing uses, with what is in it.",
        discussion: """
            Of images only the copy that is unpacked in the pool goes, which new containers are made from; the next \
            container unpacks it again. Volumes of containers and snapshots go with these.

            EXAMPLES:
              apus storage volume delete fast data
              apus storage volume delete fast image/6f0c3a9d…
            """)

    @OptionGroup package var target: VolumeArgument

    package init() {}

    package func run() async throws {
        let session = try target.session()
        try await session.client.send(.DELETE, try target.storage().path)
        session.output.announce("Storage volume \(target.name) deleted")
    }
}

/// The volume that a command is about.
package struct VolumeArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The pool.", valueName: "pool"), completion: .pools)
    package var pool: String

    @Argument(help: ArgumentHelp("The volume.", valueName: "volume"))
    package var volume: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    /// Its name, without the type before it.
    var name: String { StorageTarget.volumeName(volume) }

    /// A session with its daemon.
    func session() throws -> Session { try global.session(of: pool) }

    /// The volume.
    func storage() throws -> StorageTarget { try StorageTarget(pool: pool, volume: volume) }

    /// The path of its pool in the REST API.
    func poolPath() throws -> String { try StorageTarget(pool: pool).path }
}
