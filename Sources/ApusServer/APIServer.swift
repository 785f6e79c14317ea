public import ApusCore
import Glibc
import HTTPTypes
import HummingbirdCore
import LinuxSystem
public import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// Serves the REST API on a unix socket.
public struct APIServer: Sendable {
    private let daemon: Daemon
    private let group: String
    private let logger: Logger
    private let router: Router

    /// A server for a daemon.
    /// - Parameter group: whose members may connect; if there is no such group, only root may.
    public init(daemon: Daemon, group: String = "apus", logger: Logger) {
        self.daemon = daemon
        self.group = group
        self.logger = logger
        router = Router(Self.routes(daemon), logger: logger)
    }

    static func routes(_ daemon: Daemon) -> [Route] {
        ServerRoutes(daemon: daemon).routes + InstanceRoutes(daemon: daemon).routes
            + SnapshotRoutes(daemon: daemon).routes + SessionRoutes(daemon: daemon).routes
            + FileRoutes(daemon: daemon).routes + ImageRoutes(daemon: daemon).routes
            + OperationRoutes(daemon: daemon).routes + EventRoutes(daemon: daemon).routes
            + ProfileRoutes(daemon: daemon).routes + PoolRoutes(daemon: daemon).routes
            + VolumeRoutes(daemon: daemon).routes + NetworkRoutes(daemon: daemon).routes
    }

    /// The table of routes, as docs/reference/rest-api.md has it.
    package static func reference(_ daemon: Daemon) -> String {
        var text = "| method | path | what it does |\n|---|---|---|\n"
        for route in routes(daemon) {
            text += "| \(route.method.rawValue) | `\(route.pattern)` | \(route.summary) |\n"
        }
        return text
    }

    /// Serves until the task is cancelled.
    /// - Parameter onReady: called once clients can connect.
    public func run(onReady: @escaping @Sendable () async -> Void = {}) async throws {
        let socket = try SocketFile(path: daemon.directory.socket, group: group)
        let router = router
        let channel = UpgradeChannel(
            responder: { request, writer, _ in
                let response = await router.respond(to: request)
                try await writer.write(response: response.head, body: response.body)
                if response.headers[.connection] == "close" { throw CloseConnection() }
            },
            webSocket: { [daemon] target throws(ServiceError) in try Self.webSocket(target, daemon) })
        let server = channel.server(
            configuration: ServerConfiguration(
                address: .unixDomainSocket(path: socket.temporary), backlog: 1024),
            onServerRunning: { [logger] _ in
                do {
                    try socket.publish()
                } catch {
                    logger.critical("cannot open the socket", metadata: ["error": "\(error)"])
                }
                await onReady()
            },
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: quiet)
        defer { socket.remove() }
        try await server.run()
    }

    /// The HTTP library's own notes are of use to its developers alone.
    private var quiet: Logger {
        var quiet = logger
        quiet.logLevel = logger.logLevel <= .debug ? .debug : .warning
        return quiet
    }

    private static func webSocket(
        _ target: String, _ daemon: Daemon
    ) throws(ServiceError) -> WebSocketHandler {
        let (path, query) = Router.parse(target)
        if let path, path.first == "1.0", path.count == 2, path[1] == "events" {
            return try EventRoutes(daemon: daemon).webSocket(types: query["type"])
        }
        if let path, path.first == "1.0", path.count == 4, path[1] == "operations", path[3] == "websocket" {
            return try OperationRoutes(daemon: daemon).webSocket(path[2], secret: query["secret"] ?? "")
        }
        throw .notFound("not found")
    }
}

/// Ends a connection after its reply.
private struct CloseConnection: Error {}

/// The socket's file: bound where nobody else can reach it, given to its group, and only then put in its place.
private struct SocketFile: Sendable {
    let path: String
    let temporary: String
    private let nest: String
    private let group: String

    init(path: String, group: String) throws {
        self.path = path
        self.group = group
        nest = path + ".new"
        temporary = nest + "/s"
        try removeTree(nest)
        try Files.makeDirectories(nest, mode: 0o700)
    }

    func publish() throws {
        var owner = gid_t(0)
        if let entry = getgrnam(group) { owner = entry.pointee.gr_gid }
        try check("chown", "give \(path) to the group \(group)") { chown(temporary, 0, owner) }
        try check("chmod", "set the mode of \(path)") { chmod(temporary, 0o660) }
        try check("rename", "put \(path) in its place") { rename(temporary, path) }
        rmdir(nest)
    }

    func remove() {
        unlink(path)
        try? removeTree(nest)
    }
}
