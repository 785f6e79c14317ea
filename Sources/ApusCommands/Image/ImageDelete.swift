import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus image delete`
package struct ImageDelete: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete images. Containers made from them stay.",
        discussion: """
            EXAMPLES:
              apus image delete debian/12
            """)

    @Argument(help: ArgumentHelp("Aliases or fingerprints.", valueName: "image"), completion: .images)
    package var images: [String]

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        for image in images {
            let session = try global.session(of: image)
            let found = try await session.client.image(named: try session.name(image))
            try await session.finish(
                try await session.client.deleteImage(found.fingerprint), "Deleting \(image)")
        }
    }
}
