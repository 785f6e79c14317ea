import ApusAPI
import ApusClient
package import ArgumentParser
import NIOHTTP1

/// `apus storage create`
package struct StorageCreate: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a storage pool.",
        discussion: """
            Without a source a btrfs pool gets a file of its own, which takes room as it is written to.

            EXAMPLES:
              apus storage create plain dir source=/srv/apus
              apus storage create fast btrfs
              apus storage create fast btrfs size=20GiB
              apus storage create disk btrfs source=/dev/vdb
            """)

    @Argument(help: ArgumentHelp("The pool's name.", valueName: "pool"))
    package var pool: String

    @Argument(help: ArgumentHelp("The driver: dir or btrfs.", valueName: "driver"))
    package var driver: String

    @Argument(help: ArgumentHelp("Keys of the pool.", valueName: "key=value"))
    package var settings: [KeyValue] = []

    @Option(name: .long, help: ArgumentHelp("Free text about it.", valueName: "text"))
    package var description = ""

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: pool)
        var post = StoragePoolsPost(name: try session.name(pool), driver: driver)
        post.config = settings.dictionary
        post.description = description
        try await session.client.createStoragePool(post)
        session.output.announce("Storage pool \(post.name) created")
    }
}

/// `apus storage delete`
package struct StorageDelete: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete storage pools that nothing uses.",
        discussion: """
            EXAMPLES:
              apus storage delete fast
            """)

    @Argument(help: ArgumentHelp("The pools.", valueName: "pool"), completion: .pools)
    package var pools: [String]

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        for pool in pools {
            let session = try global.session(of: pool)
            let target = try StorageTarget(pool: pool)
            try await session.client.send(.DELETE, target.path)
            session.output.announce("Storage pool \(try session.name(pool)) deleted")
        }
    }
}
