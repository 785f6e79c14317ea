package import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus image list`
package struct ImageList: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List images.",
        discussion: """
            EXAMPLES:
              apus image list
              apus image list bookworm
              apus image list images: os=Debian
              apus image list host2:
              apus image list os=Debian --format json
            """)

    @Argument(
        help: ArgumentHelp(
            "Beginnings of aliases or fingerprints, or PROPERTY=VALUE; all must hold. REMOTE: alone or before the "
                + "first for the images of an image server or another host.", valueName: "filter"))
    package var filters: [String] = []

    @OptionGroup package var format: FormatOptions
    @OptionGroup package var global: GlobalOptions

    package init() {}

    /// Whether an image passes the filters.
    package func matches(_ image: Image) -> Bool {
        filters.allSatisfy { filter in
            if let pair = KeyValue(argument: filter) {
                return image.properties[pair.key]?.lowercased() == pair.value.lowercased()
            }
            let name = ResourceName(filter).name
            return image.fingerprint.hasPrefix(name) || image.aliases.contains { $0.name.hasPrefix(name) }
        }
    }

    /// The table of images.
    package static func table(_ images: [Image]) -> Table {
        Table(
            header: [
                "ALIAS", "FINGERPRINT", "PUBLIC", "DESCRIPTION", "ARCHITECTURE", "TYPE", "SIZE",
                "UPLOAD DATE",
            ],
            rows: images.map { image in
                let first = image.aliases.first?.name ?? ""
                let more = image.aliases.count > 1 ? " (\(image.aliases.count - 1) more)" : ""
                return [
                    first + more, String(image.fingerprint.prefix(12)), image.public ? "yes" : "no",
                    image.properties["description"] ?? "", image.architecture, image.type.uppercased(),
                    Units.decimalBytes(image.size), Units.moment(image.uploadedAt),
                ]
            })
    }

    /// All images of the remote that is asked for, and a session to show them with.
    private func found() async throws -> (Session, [Image]) {
        let remote = filters.first.map { ResourceName($0).remote } ?? Remotes.defaultName
        guard try Remotes.load().find(remote).isDaemon else {
            return (global.session, try await ImageName.images(of: remote, global.session.client))
        }
        let session = try global.session(on: remote)
        return (session, try await session.client.images())
    }

    package func run() async throws {
        let (session, all) = try await found()
        let images = all.filter { matches($0) }.sorted {
            let (left, right) = ($0.aliases.first?.name ?? "~", $1.aliases.first?.name ?? "~")
            return (left, $0.fingerprint) < (right, $1.fingerprint)
        }
        session.output.write(
            try Rendering.list(images, as: format.format) { Self.table(images) })
    }
}
