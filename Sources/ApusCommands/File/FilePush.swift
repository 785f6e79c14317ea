import ApusClient
package import ArgumentParser
import Glibc
import NIOCore

/// `apus file push`
package struct FilePush: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "push",
        abstract: "Copy files into a container.",
        discussion: """
            The target is a directory if it ends in "/" or if several sources are given. Owner and permissions are \
            taken from the source, unless they are given; "-" is standard input.

            EXAMPLES:
              apus file push notes.txt c1/root/
              apus file push -p app.conf c1/etc/app/app.conf --mode 0640 --uid 0 --gid 33
              apus file push -r site c1/var/www/
              echo hello | apus file push - c1/root/hello
            """)

    @Argument(
        help: ArgumentHelp(
            "Files (and, with -r, directories), then CONTAINER/PATH.", valueName: "source… target"),
        completion: .file())
    package var paths: [String]

    @Flag(name: .shortAndLong, help: "Copy directories with all that is in them.")
    package var recursive = false

    @Flag(name: [.customShort("p"), .long], help: "Make the directories above the target that are missing.")
    package var createDirs = false

    @Option(help: ArgumentHelp("The owner inside.", valueName: "uid"))
    package var uid: Int?

    @Option(help: ArgumentHelp("The group inside.", valueName: "gid"))
    package var gid: Int?

    @Option(help: ArgumentHelp("The permissions, in octal.", valueName: "mode"))
    package var mode: OctalMode?

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        guard paths.count >= 2 else { throw ValidationError("Give at least one source, and CONTAINER/PATH.") }
    }

    package func run() async throws {
        let target = try ContainerPath(paths.last ?? "")
        let sources = paths.dropLast()
        let intoDirectory = target.path.hasSuffix("/")
        if sources.count > 1 && !intoDirectory {
            throw Failure("several files can only go into a directory; end the target in \"/\"")
        }
        let pusher = FilePusher(
            client: try global.session(of: paths.last).client, container: target.container, uid: uid,
            gid: gid, mode: mode?.bits)
        for source in sources {
            if source == "-" {
                guard !intoDirectory else {
                    throw Failure("standard input needs a file's name as its target")
                }
                if createDirs { try await pusher.makeParents(of: target.path) }
                try await pusher.pushDescriptor(STDIN_FILENO, to: target.path)
                continue
            }
            let status = try FileStatus(source)
            guard status.kind != .directory || recursive else {
                throw Failure("\(source) is a directory; use -r to copy it")
            }
            // As cp does: a directory given with -r lands below the target under its own name.
            let below = intoDirectory || status.kind == .directory
            let name = PathText.lastComponent(source)
            let path = below ? PathText.join(target.path, name) : target.path
            if createDirs { try await pusher.makeParents(of: path) }
            try await pusher.push(source, to: path)
        }
    }
}
