import ApusClient
import ApusCore
import NIOCore
import NIOWebSocket
import Synchronization

/// A connected websocket. Answers pings, keeps the connection alive, and closes it politely.
final class WebSocketConnection: MessageSocket, Sendable {
    /// The frames that a websocket's channel carries.
    typealias Channel = NIOAsyncChannel<WebSocketFrame, WebSocketFrame>

    /// How often a ping shows both ends that the other is there.
    static let keepAlive: TimeAmount = .seconds(10)
    /// How long a client may take to close its end once the daemon has.
    static let closeTimeout: Duration = .seconds(2)

    private let mailbox = Mailbox()
    private let outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
    private let saidGoodbye = Mutex(false)

    private let channel: any NIOCore.Channel

    private init(
        _ outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>, of channel: any NIOCore.Channel
    ) {
        self.outbound = outbound
        self.channel = channel
    }

    /// Runs `body` with a connected socket, and closes it afterwards.
    static func run(_ channel: Channel, _ body: @escaping @Sendable (WebSocketConnection) async -> Void) async
    {
        let pings = channel.channel.eventLoop.scheduleRepeatedTask(
            initialDelay: .zero, delay: keepAlive
        ) { [channel = channel.channel] _ in
            let frame = WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer(string: "keepalive"))
            channel.writeAndFlush(frame, promise: nil)
        }
        defer { pings.cancel() }
        try? await channel.executeThenClose { inbound, outbound in
            let connection = WebSocketConnection(outbound, of: channel.channel)
            await withTaskGroup(of: Void.self) { group in
                // One task reads for as long as the connection is there: closing while the client still writes
                // could take from it what it has not read yet.
                group.addTask { await connection.read(inbound) }
                await body(connection)
                await connection.goodbye(1000, "")
                connection.mailbox.discard()
                let timer = Task { [channel = channel.channel] in
                    try await Task.sleep(for: closeTimeout)
                    try await channel.close()
                }
                await group.waitForAll()
                timer.cancel()
            }
        }
    }

    func receive() async throws -> ClientMessage? { await mailbox.take() }

    func send(_ bytes: [UInt8]) async throws {
        guard !bytes.isEmpty else { return }
        try await outbound.write(WebSocketFrame(fin: true, opcode: .binary, data: ByteBuffer(bytes: bytes)))
    }

    func sendEnd() async throws {
        try await outbound.write(WebSocketFrame(fin: true, opcode: .text, data: ByteBuffer()))
    }

    func noticeLoss(within limit: Duration) async { await channel.noticeLoss(within: limit) }

    /// Sends a text message.
    func sendText(_ text: ByteBuffer) async throws {
        try await outbound.write(WebSocketFrame(fin: true, opcode: .text, data: text))
    }

    private func read(_ inbound: NIOAsyncChannelInboundStream<WebSocketFrame>) async {
        // The codec has seen to it that they were masked, and has taken the masks off.
        var assembler = FrameAssembler()
        do {
            for try await frame in inbound {
                switch assembler.take(frame) {
                case .none: continue
                case .data(let buffer, let isLast):
                    await mailbox.put(.data(Array(buffer.readableBytesView), isLast: isLast))
                case .text(let text): await mailbox.put(text.isEmpty ? .end : .text(text))
                case .pong(let data):
                    try await outbound.write(WebSocketFrame(fin: true, opcode: .pong, data: data))
                case .close(let code):
                    await goodbye(code ?? 1000, "")
                    mailbox.finish()
                    return
                case .fail(let code, let reason):
                    await goodbye(code, reason)
                    mailbox.finish()
                    return
                }
            }
        } catch let violation as WebSocketFrameParser.Violation {
            await goodbye(violation.code, violation.description)
        } catch {
            // The client has gone without a word; whoever waits for it learns so from the mailbox.
        }
        mailbox.finish()
    }

    private func goodbye(_ code: UInt16, _ reason: String) async {
        let first = saidGoodbye.withLock { said in
            defer { said = true }
            return !said
        }
        guard first else { return }
        var data = ByteBuffer()
        data.writeInteger(code)
        data.writeString(String(reason.prefix(120)))
        try? await outbound.write(WebSocketFrame(fin: true, opcode: .connectionClose, data: data))
    }
}
