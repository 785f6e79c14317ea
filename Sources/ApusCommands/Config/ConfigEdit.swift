import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus config edit`
package struct ConfigEdit: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "edit",
        abstract: "Edit a container's configuration with the editor of VISUAL or EDITOR.",
        discussion: """
            Reads YAML from standard input if that is no terminal. If somebody else changes the container in the \
            meantime, the editor opens again with your text and with what it is now.

            EXAMPLES:
              apus config edit c1
              apus config edit c1 < c1.yaml
            """)

    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    private static let preface = """
        # The container's configuration, as YAML. What stands behind a # is ignored.
        # Keys of profiles are not shown; see them with: apus config show --expanded

        """

    package func run() async throws {
        let session = try global.session(of: container)
        let name = try ContainerName(container).name
        let loop = EditLoop<EditableInstance>(
            preface: Self.preface, noun: "container's configuration",
            fetch: {
                let (instance, etag) = try await session.client.getTagged(
                    "/1.0/instances/\(name.percentEncoded)", as: Instance.self)
                return (EditableInstance(instance), etag)
            },
            send: { edited, etag in
                try await session.finish(
                    try await session.client.updateInstance(name, edited.request, etag: etag),
                    "Changing \(name)")
            })
        try await loop.run(session.output)
    }
}
