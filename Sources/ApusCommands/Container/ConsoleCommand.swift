import ApusAPI
import ApusClient
package import ArgumentParser
import Glibc

/// `apus console`
package struct ConsoleCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "console",
        abstract: "Attach to a container's console.",
        discussion: """
            The console is where init writes and where one may log in. Leave it with ctrl+a q; type ctrl+a twice \
            to send one ctrl+a.

            EXAMPLES:
              apus console c1
              apus console c1 --show-log
            """)

    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    @Flag(name: .long, help: "Print what has appeared on the console so far, instead of attaching to it.")
    package var showLog = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: container)
        let name = try ContainerName(container).name
        if showLog {
            let bytes = try await session.client.consoleLog(of: name)
            bytes.withUnsafeBytes { Output.write($0, to: STDOUT_FILENO) }
            return
        }
        try await session.attachConsole(of: name)
    }
}

extension Session {
    /// Attaches this terminal to a container's console until the user detaches.
    func attachConsole(of container: String) async throws {
        let size = Terminal.size(STDOUT_FILENO) ?? (80, 24)
        output.remark("To detach from the console, press: <ctrl>+a q")
        let streams = TerminalStreams(input: STDIN_FILENO, interactive: true, raw: true, detachable: true)
        defer { Terminal.restore() }
        try await client.console(
            ConsolePost(width: size.width, height: size.height), of: container, streams: streams.session)
        Terminal.restore()
        output.remark("")
    }
}
