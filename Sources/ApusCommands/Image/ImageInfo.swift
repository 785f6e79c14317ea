package import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus image info`
package struct ImageInfo: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Show what an image is.",
        discussion: """
            EXAMPLES:
              apus image info debian/12
              apus image info 3f2a81c09d4e
              apus image info images:debian/12
            """)

    @Argument(help: ArgumentHelp("An alias or a fingerprint.", valueName: "image"), completion: .images)
    package var image: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    /// The description of an image.
    package static func describe(_ image: Image) -> String {
        var lines = [
            "Fingerprint: \(image.fingerprint)",
            "Size: \(Units.decimalBytes(image.size))",
            "Architecture: \(image.architecture)",
            "Type: \(image.type)",
            "Public: \(image.public ? "yes" : "no")",
            "Timestamps:",
        ]
        for (name, time) in [
            ("Created", image.createdAt), ("Uploaded", image.uploadedAt), ("Expires", image.expiresAt),
            ("Last used", image.lastUsedAt),
        ] {
            lines.append("    \(name): \(time.seconds > 0 ? Units.moment(time) : "never")")
        }
        lines.append("Properties:")
        lines += image.properties.sorted { $0.key < $1.key }.map { "    \($0.key): \($0.value)" }
        lines.append("Aliases:")
        lines += image.aliases.map { "    - \($0.name)" }
        lines += [
            "Cached: \(image.cached ? "yes" : "no")",
            "Auto update: \(image.autoUpdate ? "enabled" : "disabled")",
        ]
        return lines.map { $0 + "\n" }.joined()
    }

    package func run() async throws {
        let (session, name) = try global.session(ofImage: image)
        session.output.write(Self.describe(try await name.find(session.client)))
    }
}
