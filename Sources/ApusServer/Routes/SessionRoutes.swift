import ApusAPI
import ApusCore
import HTTPTypes
import HummingbirdCore

/// Ways into a container: commands, console, logs.
struct SessionRoutes {
    let daemon: Daemon
    private var containers: ContainerService { daemon.containers }

    var routes: [Route] {
        [
            Route(.post, "/1.0/instances/{name}/exec", "Run a command in a container") { request in
                try Reply.operation(
                    try await containers.exec(try request.path("name"), try await request.json(ExecPost.self))
                )
            },
            Route(.post, "/1.0/instances/{name}/console", "Attach to a container's console") { request in
                try Reply.operation(
                    try await containers.console(
                        try request.path("name"), try await request.json(ConsolePost.self)))
            },
            Route(.get, "/1.0/instances/{name}/console", "What a container's console has printed") {
                request in
                Reply.bytes(try await containers.consoleLog(try request.path("name")))
            },
            Route(.delete, "/1.0/instances/{name}/console", "Empty the console's log") { request in
                try await containers.clearConsoleLog(try request.path("name"))
                return try Reply.done()
            },
            Route(.get, "/1.0/instances/{name}/logs", "A container's log files") { request in
                let name = try request.path("name")
                return try Reply.sync(
                    try await containers.logs(name).map { "/1.0/\(request.collection)/\(name)/logs/\($0)" })
            },
            Route(.get, "/1.0/instances/{name}/logs/{file}", "A log file") { request in
                Reply.bytes(
                    try await containers.log(try request.path("name"), try request.path("file")),
                    type: "text/plain; charset=utf-8")
            },
            Route(.delete, "/1.0/instances/{name}/logs/{file}", "Delete a log file") { request in
                try await containers.deleteLog(try request.path("name"), try request.path("file"))
                return try Reply.done()
            },
        ]
    }
}
