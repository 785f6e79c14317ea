import Migration
import SwiftProtobuf

/// The control websocket of a move: whole messages. One task reads, one at a time writes.
actor ControlChannel {
    private let socket: any MessageSocket
    private var sending: Task<Void, any Error>?

    init(_ socket: any MessageSocket) { self.socket = socket }

    /// The next message; nil once the other side has gone.
    nonisolated func next() async throws -> [UInt8]? {
        var whole: [UInt8] = []
        while let message = try await socket.receive() {
            switch message {
            case .data(let bytes, let isLast):
                if whole.isEmpty { whole = bytes } else { whole += bytes }
                guard whole.count <= ControlMessages.limit else {
                    throw MigrationError(
                        .protocolViolation,
                        "the other host sent a message of more than \(ControlMessages.limit) bytes")
                }
                if isLast { return whole }
            case .text, .end:
                throw MigrationError(
                    .protocolViolation, "the other host sent a text where a message of the migration was due")
            }
        }
        return nil
    }

    /// The next message of a kind.
    nonisolated func next<Kind: SwiftProtobuf.Message & Sendable>(_ kind: Kind.Type) async throws -> Kind {
        guard let bytes = try await next() else {
            throw MigrationError(.connectionLost, "the connection to the other host was lost")
        }
        return try ControlMessages.decode(kind, bytes)
    }

    /// Sends a message, after those that are being sent.
    func send(_ message: MoveMessage) async throws { try await send(try ControlMessages.encode(message)) }

    /// Sends the bytes of a message, after those that are being sent.
    func send(_ bytes: [UInt8]) async throws {
        let (former, socket) = (sending, socket)
        let task = Task {
            _ = try? await former?.value
            try await socket.send(bytes)
        }
        sending = task
        try await task.value
    }
}
