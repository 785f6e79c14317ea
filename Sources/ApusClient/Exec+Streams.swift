import ApusAPI
import Foundation
import NIOCore

/// How bytes go between a session's websockets and the client's streams.
extension Client {
    /// Sends signals and sizes.
    static func carry(
        _ first: ExecControl, then control: AsyncStream<ExecControl>, to socket: WebSocket
    ) async throws {
        @Sendable func send(_ message: ExecControl) async throws {
            try await socket.send(text: String(decoding: try APIJSON.encode(message), as: UTF8.self))
        }
        try await reading(socket) {
            try await send(first)
            for await message in control { try await send(message) }
        }
    }

    /// Sends input to its end, then says that it has ended.
    static func carryInput(_ streams: SessionStreams, to socket: WebSocket) async throws {
        try await reading(socket) {
            while let bytes = try await streams.input() { try await socket.send(bytes) }
            try await socket.sendEndOfStream()
        }
    }

    /// Hands on what comes until the stream ends.
    static func carry(
        _ socket: WebSocket, to output: @Sendable (ByteBuffer) async throws -> Void
    ) async throws {
        for try await message in socket.messages {
            switch message {
            case .bytes(let bytes): try await output(bytes)
            case .text(let text): try await output(ByteBuffer(string: text))
            case .endOfStream: return
            }
        }
    }

    /// Both directions of a terminal over one websocket, until the daemon ends it (or the input does).
    static func converse(
        _ socket: WebSocket, _ streams: SessionStreams, endsWithInput: Bool
    ) async throws {
        try await withThrowingTaskGroup(of: Bool.self) { tasks in
            defer { tasks.cancelAll() }
            tasks.addTask {
                try await carry(socket, to: streams.output)
                return true
            }
            tasks.addTask {
                do {
                    while let bytes = try await streams.input() { try await socket.send(bytes) }
                    if !endsWithInput { try await socket.sendEndOfStream() }
                } catch is any NIOConnectionTrouble {
                    return false
                }
                return endsWithInput
            }
            while let ended = try await tasks.next() {
                if ended { return }
            }
        }
    }

    /// Runs `body` while the websocket's own messages (pings, the close) are seen to.
    private static func reading(
        _ socket: WebSocket, _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Bool.self) { tasks in
            defer { tasks.cancelAll() }
            tasks.addTask {
                for try await _ in socket.messages {}
                return true
            }
            tasks.addTask {
                do { try await body() } catch is any NIOConnectionTrouble {}
                return false
            }
            while let closed = try await tasks.next() {
                if closed { return }
            }
        }
    }
}
