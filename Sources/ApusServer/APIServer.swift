public import ApusCore
import Glibc
import HTTPTypes
import HummingbirdCore
import LinuxSystem
public import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// Serves the REST API on a unix socket, and on the network where `core.https_address` says so.
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
            + SnapshotRoutes(daemon: daemon).routes + BackupRoutes(daemon: daemon).routes
            + SessionRoutes(daemon: daemon).routes
            + FileRoutes(daemon: daemon).routes + ImageRoutes(daemon: daemon).routes
            + OperationRoutes(daemon: daemon).routes + EventRoutes(daemon: daemon).routes
            + ProfileRoutes(daemon: daemon).routes + PoolRoutes(daemon: daemon).routes
            + VolumeRoutes(daemon: daemon).routes + NetworkRoutes(daemon: daemon).routes
            + TrustRoutes(daemon: daemon).routes + MetadataRoutes(daemon: daemon).routes
            + ProjectRoutes(daemon: daemon).routes + CheckpointRoutes(daemon: daemon).routes
    }

    /// All routes ("GET /1.0") with who may use them: "anyone", "trusted" or "local".
    package static func access(_ daemon: Daemon) -> [(route: String, access: String)] {
        routes(daemon).map { ("\($0.method.rawValue) \($0.pattern)", "\($0.access)") }
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
        let gate = ConnectionGate()
        let channel = UpgradeChannel(router: router, trust: daemon.trust, gate: gate)
        let network = HTTPSListener(trust: daemon.trust, upgrade: channel, gate: gate, logger: logger)
        let server = channel.server(
            configuration: ServerConfiguration(
                address: .unixDomainSocket(path: socket.temporary), backlog: 1024),
            onServerRunning: { [daemon, logger] _ in
                do {
                    try await daemon.serve(network: network)
                } catch {
                    // The daemon can be reached over its socket, and told a better address.
                    logger.error("cannot serve the network", metadata: ["error": "\(error)"])
                }
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
}

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
