import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus storage`
package struct StorageCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "storage",
        abstract: "Storage pools, and volumes in them.",
        discussion: """
            EXAMPLES:
              apus storage list
              apus storage create fast btrfs size=20GiB
              apus storage volume create fast data
            """,
        subcommands: [
            StorageList.self, StorageShow.self, StorageInfo.self, StorageCreate.self, StorageEdit.self,
            StorageGet.self, StorageSet.self, StorageUnset.self, StorageDelete.self, VolumeCommand.self,
        ])

    package init() {}
}

/// `apus storage list`
package struct StorageList: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List storage pools.",
        discussion: """
            EXAMPLES:
              apus storage list
            """)

    @Argument(
        help: ArgumentHelp("REMOTE: of the daemon, if it is not the default one.", valueName: "remote:"),
        completion: .hosts)
    package var remote: String?

    @OptionGroup package var format: FormatOptions
    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: remote)
        let pools = try await session.client.storagePools().sorted { $0.name < $1.name }
        session.output.write(
            try Rendering.list(pools, as: format.format) {
                Table(
                    header: ["NAME", "DRIVER", "SOURCE", "DESCRIPTION", "USED BY", "STATE"],
                    rows: pools.map {
                        [
                            $0.name, $0.driver, $0.config["source"] ?? "", $0.description,
                            String($0.usedBy.count),
                            $0.status.uppercased(),
                        ]
                    })
            })
    }
}

/// `apus storage show`
package struct StorageShow: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print a storage pool as YAML.",
        discussion: """
            EXAMPLES:
              apus storage show default
            """)

    @OptionGroup package var target: PoolArgument

    package init() {}

    package func run() async throws {
        let session = try target.session()
        session.output.write(
            try Rendering.yaml(try await session.client.storagePool(target.name)))
    }
}

/// `apus storage info`
package struct StorageInfo: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Show how full a storage pool is, and what uses it.",
        discussion: """
            EXAMPLES:
              apus storage info default
              apus storage info default --bytes
            """)

    @OptionGroup package var target: PoolArgument

    @Flag(name: .long, help: "Print sizes in bytes.")
    package var bytes = false

    package init() {}

    package func run() async throws {
        let session = try target.session()
        let pool = try target.storage()
        let found = try await session.client.get(pool.path, as: StoragePool.self)
        var text = "Name: \(found.name)\nDriver: \(found.driver)\nStatus: \(found.status)\n"
        if !found.description.isEmpty { text += "Description: \(found.description)\n" }
        if found.status == "Created" {
            let room = try await session.client.get(pool.path + "/resources", as: StoragePoolResources.self)
            text += "Space used: \(size(room.space.used))\nTotal space: \(size(room.space.total))\n"
            if room.inodes.total > 0 {
                text += "Files: \(room.inodes.used) of \(room.inodes.total)\n"
            }
        }
        text += found.usedBy.isEmpty ? "" : "Used by:\n"
        for user in found.usedBy { text += "- \(user.dropFirst("/1.0/".count))\n" }
        session.output.write(text)
    }

    private func size(_ count: Int64) -> String { bytes ? String(count) : Units.bytes(count) }
}

/// The storage pool that a command is about.
package struct PoolArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The pool.", valueName: "pool"), completion: .pools)
    package var pool: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    /// Its name.
    var name: String { ResourceName(pool).name }

    /// A session with its daemon.
    func session() throws -> Session { try global.session(of: pool) }

    /// The pool.
    func storage() throws -> StorageTarget { try StorageTarget(pool: pool) }
}
