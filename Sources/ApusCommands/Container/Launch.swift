import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus launch`
package struct Launch: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "launch",
        abstract: "Create and start a container from an image.",
        discussion: """
            EXAMPLES:
              apus launch debian:12 c1
              apus launch debian:13 web -c limits.memory=512MiB -c boot.autostart=true
              apus launch my-image -e
              apus launch host2:web c1
              apus launch debian:12 host2:c1
              apus launch debian:12 c1 --console
            """)

    @OptionGroup package var create: CreateOptions

    @Flag(name: .long, help: "Attach to the container's console once it runs.")
    package var console = false

    package init() {}

    package func run() async throws {
        let session = try create.session
        let name = try await create.create(in: session)
        session.output.announce("Starting \(name)")
        try await session.finish(
            try await session.client.changeState(of: name, InstanceStatePut(action: "start")),
            "Starting \(name)")
        if console { try await session.attachConsole(of: name) }
    }
}
