package import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus start`
package struct Start: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Start containers.",
        discussion: """
            A container that was stopped with --stateful goes on where it stood, unless --stateless is given. \
            A paused container is resumed.

            EXAMPLES:
              apus start c1
              apus start c1 --stateless
              apus start c1 --console
              apus start --all
            """)

    @OptionGroup package var selection: ContainerSelection

    @Flag(name: .long, help: "Begin anew: throw the saved running state away.")
    package var stateless = false

    @Flag(name: .long, help: "Attach to the container's console once it runs.")
    package var console = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        if console && (selection.all || selection.containers.count > 1) {
            throw ValidationError("--console is for one container.")
        }
    }

    /// What is sent to the daemon.
    package var request: InstanceStatePut {
        var put = InstanceStatePut(action: "start", timeout: 0)
        put.apusStateless = stateless
        return put
    }

    package func run() async throws {
        let request = request
        let names = try await selection.names(global, in: stateless ? [.stopped] : [.stopped, .frozen])
        try await global.each(names, "Starting") { client, name in
            // A stateless start is for stopped containers only; otherwise a frozen one is meant to go on.
            if !request.apusStateless,
                try await client.instance(name).statusCode == StatusCode.frozen.rawValue
            {
                return try await client.changeState(
                    of: name, InstanceStatePut(action: "unfreeze", timeout: 0))
            }
            return try await client.changeState(of: name, request)
        }
        if console, let name = names.first {
            try await global.session(on: name.remote).attachConsole(of: name.name)
        }
    }
}
