package import ApusCore
import Glibc
package import NIOCore
package import NIOWebSocket
import Synchronization

/// A connected websocket. Answers pings, keeps the connection alive, and closes it politely.
package final class WebSocketConnection: MessageSocket, Sendable {
    /// The frames that a websocket's channel carries.
    package typealias Channel = NIOAsyncChannel<WebSocketFrame, WebSocketFrame>

    /// How often a ping shows both ends that the other is there.
    package static let keepAlive: TimeAmount = .seconds(10)

    private let inbound: Incoming
    private let outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>

    private init(inbound: NIOAsyncChannelInboundStream<WebSocketFrame>, outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>) {
        self.inbound = Incoming(inbound)
        self.outbound = outbound
    }

    /// Runs `body` with a connected socket, and closes it afterwards.
    package static func run(_ channel: Channel, _ body: @Sendable (WebSocketConnection) async -> Void) async {
        let pings = channel.channel.eventLoop.scheduleRepeatedTask(
            initialDelay: .zero, delay: keepAlive
        ) { [channel = channel.channel] _ in
            let frame = WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer(string: "keepalive"))
            channel.writeAndFlush(frame, promise: nil)
        }
        defer { pings.cancel() }
        try? await channel.executeThenClose { inbound, outbound in
            let connection = WebSocketConnection(inbound: inbound, outbound: outbound)
            await body(connection)
            await connection.goodbye(1000, "")
        }
    }

    package func receive() async throws -> ClientMessage? {
        while let frame = try await inbound.next() {
            switch frame {
            case .none: continue
            case .data(let buffer): return .data(Array(buffer.readableBytesView))
            case .text(let text): return text.isEmpty ? .end : .text(text)
            case .pong(let data): try await outbound.write(WebSocketFrame(fin: true, opcode: .pong, data: data))
            case .close(let code):
                await goodbye(code ?? 1000, "")
                return nil
            case .fail(let code, let reason):
                await goodbye(code, reason)
                return nil
            }
        }
        return nil
    }

    package func send(_ bytes: [UInt8]) async throws {
        guard !bytes.isEmpty else { return }
        try await outbound.write(WebSocketFrame(fin: true, opcode: .binary, data: ByteBuffer(bytes: bytes)))
    }

    package func sendEnd() async throws {
        try await outbound.write(WebSocketFrame(fin: true, opcode: .text, data: ByteBuffer()))
    }

    /// Sends a text message.
    package func sendText(_ text: ByteBuffer) async throws {
        try await outbound.write(WebSocketFrame(fin: true, opcode: .text, data: text))
    }

    private func goodbye(_ code: UInt16, _ reason: String) async {
        guard inbound.markClosed() else { return }
        var data = ByteBuffer()
        data.writeInteger(code)
        data.writeString(String(reason.prefix(120)))
        try? await outbound.write(WebSocketFrame(fin: true, opcode: .connectionClose, data: data))
    }
}

/// The incoming side: one reader at a time, the meaning of frames kept between reads.
private final class Incoming: @unchecked Sendable {
    // One task reads at a time (MessageSocket.receive says so); `closed` alone is shared.
    private var iterator: NIOAsyncChannelInboundStream<WebSocketFrame>.AsyncIterator
    private var assembler = FrameAssembler()
    private let closed = Mutex(false)

    init(_ stream: NIOAsyncChannelInboundStream<WebSocketFrame>) { iterator = stream.makeAsyncIterator() }

    func next() async throws -> FrameAssembler.Action? {
        guard !closed.withLock({ $0 }), let frame = try await iterator.next() else { return nil }
        return assembler.take(frame)
    }

    /// Whether this was the first goodbye.
    func markClosed() -> Bool {
        closed.withLock { closed in
            defer { closed = true }
            return !closed
        }
    }
}
