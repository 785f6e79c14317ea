import ApusClient
package import ArgumentParser

/// `apus file delete`
package struct FileDelete: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete files in a container.",
        discussion: """
            EXAMPLES:
              apus file delete c1/root/notes.txt
              apus file delete -r c1/root/site
            """)

    @Argument(help: ArgumentHelp("The files, as CONTAINER/PATH.", valueName: "file"))
    package var files: [String]

    @Flag(name: .shortAndLong, help: "Delete directories with all that is in them.")
    package var recursive = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        for file in files {
            let path = try ContainerPath(file)
            try await global.session(of: file).client.deleteFile(
                path.path, of: path.container, recursive: recursive)
        }
    }
}
