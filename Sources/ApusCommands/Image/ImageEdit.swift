package import ApusAPI
import ApusClient
package import ArgumentParser
import NIOHTTP1

/// The part of an image that people edit, as YAML shows it.
package struct EditableImage: Editable, Equatable {
    package var autoUpdate: Bool
    package var properties: [String: String]
    package var `public`: Bool

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case properties
        case `public` = "public"
        case autoUpdate = "auto_update"
    }

    package static let readOnly: Set = [
        "fingerprint", "size", "aliases", "architecture", "profiles", "expires_at",
    ]

    package init(_ image: Image) {
        autoUpdate = image.autoUpdate
        properties = image.properties
        self.public = image.public
    }

    /// What is sent to the daemon.
    package var request: ImagePut {
        var put = ImagePut()
        put.autoUpdate = autoUpdate
        put.properties = properties
        put.public = self.public
        return put
    }
}

/// `apus image edit`
package struct ImageEdit: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "edit",
        abstract: "Edit an image's properties with the editor of VISUAL or EDITOR.",
        discussion: """
            Reads YAML from standard input if that is no terminal. If somebody else changes the image in the \
            meantime, the editor opens again with your text and with what it is now.

            EXAMPLES:
              apus image edit bookworm
              apus image edit bookworm < bookworm.yaml
            """)

    @Argument(help: ArgumentHelp("An alias or a fingerprint.", valueName: "image"), completion: .images)
    package var image: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: image)
        let found = try await session.client.image(named: try session.name(image))
        let path = "/1.0/images/\(found.fingerprint)"
        let loop = EditLoop<EditableImage>(
            preface: "# The image, as YAML. What stands behind a # is ignored.\n", noun: "image",
            fetch: {
                let (image, etag) = try await session.client.getTagged(path, as: Image.self)
                return (EditableImage(image), etag)
            },
            send: { edited, etag in try await session.client.send(.PUT, path, edited.request, etag: etag) })
        try await loop.run(session.output)
    }
}

/// `apus image show`
package struct ImageShow: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print an image's properties as YAML.",
        discussion: """
            EXAMPLES:
              apus image show bookworm
            """)

    @Argument(help: ArgumentHelp("An alias or a fingerprint.", valueName: "image"), completion: .images)
    package var image: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let (session, name) = try global.session(ofImage: image)
        let found = try await name.find(session.client)
        session.output.write(try Rendering.yaml(EditableImage(found)))
    }
}

/// `apus image set-property`
package struct ImageSetProperty: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "set-property",
        abstract: "Set a property of an image.",
        discussion: """
            EXAMPLES:
              apus image set-property bookworm description "Our own"
            """)

    @Argument(help: ArgumentHelp("An alias or a fingerprint.", valueName: "image"), completion: .images)
    package var image: String

    @Argument(help: ArgumentHelp("The property.", valueName: "property"))
    package var property: String

    @Argument(help: ArgumentHelp("Its value.", valueName: "value"))
    package var value: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: image)
        let client = session.client
        let found = try await client.image(named: try session.name(image))
        var patch = ImagePatch()
        patch.properties = [property: value]
        try await client.send(.PATCH, "/1.0/images/\(found.fingerprint)", patch)
    }
}

/// `apus image unset-property`
package struct ImageUnsetProperty: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "unset-property",
        abstract: "Take a property from an image.",
        discussion: """
            EXAMPLES:
              apus image unset-property bookworm description
            """)

    @Argument(help: ArgumentHelp("An alias or a fingerprint.", valueName: "image"), completion: .images)
    package var image: String

    @Argument(help: ArgumentHelp("The property.", valueName: "property"))
    package var property: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: image)
        let client = session.client
        let found = try await client.image(named: try session.name(image))
        var patch = ImagePatch()
        patch.properties = [property: ""]
        try await client.send(.PATCH, "/1.0/images/\(found.fingerprint)", patch)
    }
}

/// `apus image get-property`
package struct ImageGetProperty: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "get-property",
        abstract: "Print a property of an image.",
        discussion: """
            EXAMPLES:
              apus image get-property bookworm description
            """)

    @Argument(help: ArgumentHelp("An alias or a fingerprint.", valueName: "image"), completion: .images)
    package var image: String

    @Argument(help: ArgumentHelp("The property.", valueName: "property"))
    package var property: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let (session, name) = try global.session(ofImage: image)
        let found = try await name.find(session.client)
        session.output.print(found.properties[property] ?? "")
    }
}
