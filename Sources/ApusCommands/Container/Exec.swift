package import ApusAPI
import ApusClient
package import ArgumentParser
import Glibc

/// `apus exec`
package struct Exec: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "exec",
        abstract: "Run a command in a container.",
        discussion: """
            Works as ssh does: a terminal if this is one, separate output and errors otherwise; the exit code is \
            the command's (126: not executable, 127: not found, 128 + N: ended by signal N). The command is run \
            as it is, without a shell.

            EXAMPLES:
              apus exec c1 -- systemctl status
              apus exec c1 -- bash
              apus exec c1 --env LANG=C --cwd /etc --user 1000 -- ls -l
              tar c folder | apus exec c1 -- tar x -C /root
            """)

    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    @Argument(help: ArgumentHelp("The command and its arguments, after \"--\".", valueName: "command"))
    package var command: [String]

    @Flag(name: [.customShort("t"), .long], help: "Give the command a terminal even if this is none.")
    package var forceInteractive = false

    @Flag(name: [.customShort("T"), .long], help: "Give the command no terminal.")
    package var forceNoninteractive = false

    @Option(help: ArgumentHelp("How to run: auto, interactive or non-interactive.", valueName: "mode"))
    package var mode: Mode = .auto

    @Flag(name: [.customShort("n"), .long], help: "Give the command no input.")
    package var disableStdin = false

    @Option(name: .long, help: ArgumentHelp("A variable to set; may be repeated.", valueName: "key=value"))
    package var env: [KeyValue] = []

    @Option(help: ArgumentHelp("The directory to start in.", valueName: "directory"))
    package var cwd: String?

    @Option(help: ArgumentHelp("The user to run as.", valueName: "uid"))
    package var user: Int = 0

    @Option(help: ArgumentHelp("The group to run as.", valueName: "gid"))
    package var group: Int = 0

    @OptionGroup package var global: GlobalOptions

    /// Whether the command gets a terminal.
    package enum Mode: String, CaseIterable, ExpressibleByArgument, Sendable {
        case auto
        case interactive
        case nonInteractive = "non-interactive"
    }

    package init() {}

    package func validate() throws {
        let interactive = forceInteractive || mode == .interactive
        let plain = forceNoninteractive || mode == .nonInteractive
        if interactive && plain { throw ValidationError("-t and -T exclude each other.") }
        if user < 0 || group < 0 { throw ValidationError("--user and --group are numbers from 0 on.") }
    }

    /// Whether the command gets a terminal, given whether both ends of this program are one.
    package func interactive(onTerminal: Bool) -> Bool {
        if forceInteractive || mode == .interactive { return true }
        if forceNoninteractive || mode == .nonInteractive { return false }
        return onTerminal && !disableStdin
    }

    /// What is sent to the daemon.
    package func request(
        interactive: Bool, size: (width: Int, height: Int)?, terminalType: String?
    ) -> ExecPost {
        var post = ExecPost(command: command)
        post.waitForWebsocket = true
        post.interactive = interactive
        if let terminalType, !terminalType.isEmpty { post.environment["TERM"] = terminalType }
        post.environment.merge(env.dictionary) { $1 }
        if interactive, let size { (post.width, post.height) = size }
        post.user = user
        post.group = group
        post.cwd = cwd ?? ""
        return post
    }

    package func run() async throws {
        let name = try ContainerName(container).name
        let interactive = interactive(
            onTerminal: Terminal.isTerminal(STDIN_FILENO) && Terminal.isTerminal(STDOUT_FILENO))
        let request = request(
            interactive: interactive, size: Terminal.size(STDOUT_FILENO) ?? Terminal.size(STDIN_FILENO),
            terminalType: getenv("TERM").map { String(cString: $0) })
        let streams = TerminalStreams(
            input: disableStdin ? nil : STDIN_FILENO, interactive: interactive, raw: interactive)
        do {
            let client = try global.session(of: container).client
            let code = try await client.exec(request, in: name, streams: streams.session)
            Terminal.restore()
            throw ExitCode(code)
        } catch let failure as FileFailure where failure.errno == EPIPE {
            // Nobody reads our output any more: end as a program in a pipe does.
            throw ExitCode(128 + SIGPIPE)
        }
    }
}
