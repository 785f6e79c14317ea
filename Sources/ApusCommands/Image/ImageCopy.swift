import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus image copy`
package struct ImageCopy: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "copy",
        abstract:
            "Copy an image from another host or an image server, or have one built, into a daemon's store.",
        discussion: """
            EXAMPLES:
              apus image copy images:debian/12 local: --alias bookworm
              apus image copy images:alpine/edge local: --copy-aliases --auto-update
              apus image copy host2:web local: --copy-aliases
              apus image copy web host2:
              apus image copy debian:13 local:
            """)

    @Argument(help: ArgumentHelp("The image, as [REMOTE:]IMAGE.", valueName: "image"), completion: .images)
    package var image: String

    @Argument(help: ArgumentHelp("Where to: local:, or another REMOTE:", valueName: "target"))
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
        guard target.hasSuffix(":"), ResourceName(target).name.isEmpty else {
            throw Failure("the target is a remote: write local: or HOST:")
        }
        let session = try global.session(of: target)
        let from = ResourceName(image)
        let name = try ImageName("\(from.remote):\(from.name)", for: session.remote)
        if case .local = name { throw Failure("\"\(image)\" is in the store of \(session.remote): already") }
        let source = try await name.instanceSource(session)
        var post = ImagesPost()
        var origin = ImageSource()
        origin.type = "image"
        origin.mode = "pull"
        origin.protocol = source.protocol
        origin.server = source.server
        origin.certificate = source.certificate
        origin.alias = source.alias
        origin.fingerprint = source.fingerprint
        origin.secret = source.secret
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
        for image in images {
            let session = try global.session(of: image)
            let found = try await session.client.image(named: try session.name(image))
            let ended = try await session.finish(
                try await session.client.refreshImage(found.fingerprint), "Refreshing \(image)")
            let isNew = ended.metadata?["refreshed"]?.boolValue ?? false
            session.output.announce(isNew ? "A newer version of \(image) is here" : "\(image) is the newest")
        }
    }
}
