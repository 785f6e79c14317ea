import LinuxSystem
import Migration
import Synchronization

/// The websockets of a move, whichever side dialled them. They stay open until the move is over.
final class MoveSockets: Sendable {
    /// LXD's names for them: what is said, files, and memory.
    enum Name: String, CaseIterable, Sendable {
        case control, fs, criu
    }

    /// How long the other side may take to connect one that is needed.
    static let patience: Duration = .seconds(30)

    /// How long a move goes on that hears nothing from the other host: a container may be standing still all that time.
    static let silence: Duration = .seconds(10)

    private let sockets = Mutex<[Name: any MessageSocket]>([:])
    private let opened: [Name: Occurrence]
    private let over = Occurrence()

    init() { opened = Dictionary(uniqueKeysWithValues: Name.allCases.map { ($0, Occurrence()) }) }

    /// Hands a connected socket to the move; returns when that is over.
    func serve(_ name: String, _ socket: any MessageSocket) async {
        guard let name = Name(rawValue: name), let occurrence = opened[name] else { return }
        // The control socket is always read, and everything ends with it.
        if name == .control { await socket.noticeLoss(within: Self.silence) }
        sockets.withLock { $0[name] = socket }
        occurrence.happen()
        _ = await over.wait()
    }

    /// A socket, once it is connected.
    func socket(_ name: Name) async throws -> any MessageSocket {
        guard await opened[name]?.wait(Self.patience) == true,
            let socket = sockets.withLock({ $0[name] })
        else {
            try Task.checkCancellation()
            throw MigrationError(
                .connectionLost,
                "the other host did not connect its websocket \"\(name.rawValue)\" within \(Self.patience.components.seconds) s"
            )
        }
        return socket
    }

    /// Closes them all. May be called again.
    func close() { over.happen() }
}
