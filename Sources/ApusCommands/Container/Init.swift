package import ArgumentParser

/// `apus init`
package struct Init: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Create a container from an image, without starting it.",
        discussion: """
            EXAMPLES:
              apus init debian:12 c1
              apus init debian:12 c1 --no-profiles -s default
            """)

    @OptionGroup package var create: CreateOptions

    package init() {}

    package func run() async throws {
        _ = try await create.create(in: try create.session)
    }
}
