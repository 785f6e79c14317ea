import ApusClient
package import ArgumentParser
import Glibc

/// `apus file pull`
package struct FilePull: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "pull",
        abstract: "Copy files out of a container.",
        discussion: """
            The target is a file's name, a directory, or "-" for standard output. Permissions are kept, the owner \
            is whoever runs this. A symbolic link is followed, inside the container; with -r links stay links.

            EXAMPLES:
              apus file pull c1/etc/hosts .
              apus file pull c1/etc/hosts hosts-of-c1
              apus file pull -r c1/var/log logs/
              apus file pull c1/etc/hostname -
            """)

    @Argument(
        help: ArgumentHelp("One or more of CONTAINER/PATH, then the target.", valueName: "source… target"),
        completion: .file())
    package var paths: [String]

    @Flag(name: .shortAndLong, help: "Copy directories with all that is in them.")
    package var recursive = false

    @Flag(name: [.customShort("p"), .long], help: "Make the target's directories if they are missing.")
    package var createDirs = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        guard paths.count >= 2 else { throw ValidationError("Give CONTAINER/PATH, and where to put it.") }
    }

    package func run() async throws {
        let sources = try paths.dropLast().map { try ContainerPath($0) }
        let target = paths.last ?? ""
        if createDirs, target != "-" {
            try PathText.makeFolders(
                target.hasSuffix("/") || sources.count > 1 ? target : PathText.parent(target))
        }
        let exists = (try? FileStatus(target))?.kind == .directory
        let intoDirectory = exists || target.hasSuffix("/")
        if sources.count > 1, target != "-", !exists { throw Failure("\(target) is not a directory") }
        if intoDirectory, !exists { throw Failure("there is no directory \(target); use -p to make it") }
        for source in sources {
            let name = PathText.lastComponent(source.path)
            let client = try global.session(on: source.remote).client
            let puller = FilePuller(client: client, container: source.container, recursive: recursive)
            if target == "-" {
                try await puller.show(source.path)
            } else {
                try await puller.pull(source.path, to: intoDirectory ? PathText.join(target, name) : target)
            }
        }
    }
}
