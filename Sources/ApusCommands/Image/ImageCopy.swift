import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus image copy`
package struct ImageCopy: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "copy",
        abstract: "Fetch an image of an image server, or have one built, into the daemon's store.",
        discussion: """
            EXAMPLES:
              apus image copy images:debian/12 local: --alias bookworm
              apus image copy images:alpine/edge local: --copy-aliases --auto-update
              apus image copy debian:13 local:
            """)

    @Argument(help: ArgumentHelp("REMOTE:IMAGE.", valueName: "image"))
    package var image: String

    @Argument(help: ArgumentHelp("Where to: local:", valueName: "target"))
    package var target: String = "local:"

    @Option(name: .long, help: ArgumentHelp("A name for the image; may be repeated.", valueName: "alias"))
    package var alias: [String] = []

    @Flag(name: .long, help: "Take the names that it has there.")
    package var copyAliases = false

    @Flag(name: .long, help: "Keep it up to date.")
    package var autoUpdate = false

    @Flag(name: .long, help: "Let everyone have it.")
    package var `public` = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = global.session
        guard ResourceName(target).name.isEmpty else { throw Failure("the target is a remote: write local:") }
        _ = try ResourceName(target).local()
        let name = try ImageName(image)
        if case .local = name { throw Failure("\"\(image)\" is in the daemon's store already") }
        let source = try await name.instanceSource(session.client)
        var post = ImagesPost()
        var origin = ImageSource()
        origin.type = "image"
        origin.mode = "pull"
        origin.protocol = source.protocol
        origin.server = source.server
        origin.certificate = source.certificate
        origin.alias = source.alias
        post.source = origin
        post.public = self.public
        post.autoUpdate = autoUpdate
        post.aliases = alias.map { ImageAliasName(name: $0) }
        if copyAliases, case .server = name {
            post.aliases += try await name.find(session.client).aliases.filter { !alias.contains($0.name) }
        }
        let ended = try await session.finish(
            try await session.client.createImage(post), "Copying the image")
        session.output.announce(
            "Image copied with fingerprint: \(ended.metadata?["fingerprint"]?.stringValue ?? "")")
    }
}

/// `apus image refresh`
package struct ImageRefresh: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "refresh",
        abstract: "Fetch the newest versions of images from where they came from.",
        discussion: """
            EXAMPLES:
              apus image refresh bookworm
            """)

    @Argument(help: ArgumentHelp("Aliases or fingerprints.", valueName: "image"), completion: .images)
    package var images: [String]

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = global.session
        for image in images {
            let found = try await session.client.image(named: try ResourceName(image).local())
            let ended = try await session.finish(
                try await session.client.refreshImage(found.fingerprint), "Refreshing \(image)")
            let isNew = ended.metadata?["refreshed"]?.boolValue ?? false
            session.output.announce(isNew ? "A newer version of \(image) is here" : "\(image) is the newest")
        }
    }
}
