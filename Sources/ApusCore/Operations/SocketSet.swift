import Synchronization

/// The websockets of an operation: each has a secret, and is connected at most once.
public final class SocketSet: Sendable {
    /// One connected websocket: what the operation's work does with the client's end of it.
    public typealias Handler = @Sendable (_ name: String, _ socket: any MessageSocket) async -> Void

    /// The secrets by the sockets' names ("0", "1", "2", "control").
    public let secrets: [String: String]
    /// Whether the secrets are told beside the other metadata of the operation, as those of a migration are, and not
    /// below "fds".
    public let isFlat: Bool
    private let handler: Handler
    private let connected = Mutex<Set<String>>([])

    /// Sockets with fresh secrets.
    /// - Parameters:
    ///   - names: their names.
    ///   - isFlat: whether the secrets are told beside the other metadata.
    ///   - handler: runs for each socket that a client connects; the socket is closed when it returns.
    public init(names: [String], isFlat: Bool = false, handler: @escaping Handler) {
        self.isFlat = isFlat
        secrets = Dictionary(uniqueKeysWithValues: names.map { ($0, RandomID.secret()) })
        self.handler = handler
    }

    /// The name of the socket that a secret opens. It is then taken.
    /// - Throws: forbidden if no socket has that secret, or it was used before.
    public func claim(secret: String) throws(ServiceError) -> String {
        var found: String?
        for (name, expected) in secrets where constantTimeEqual(expected, secret) { found = name }
        guard let found else { throw ServiceError(.forbidden, "not authorized") }
        guard connected.withLock({ $0.insert(found).inserted }) else {
            throw ServiceError(.forbidden, "This websocket is connected already")
        }
        return found
    }

    /// Runs the operation's side of a claimed socket.
    public func run(_ name: String, _ socket: any MessageSocket) async { await handler(name, socket) }
}
