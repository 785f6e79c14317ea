public import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket

/// An open websocket.
public struct WebSocket: Sendable {
    /// What comes from the daemon. Pings are answered while this is being read.
    public let messages: WebSocketMessages
    private let outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>

    init(
        inbound: NIOAsyncChannelInboundStream<WebSocketFrame>,
        outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
    ) {
        messages = WebSocketMessages(inbound: inbound, outbound: outbound)
        self.outbound = outbound
    }

    /// Sends bytes as one binary message.
    public func send(_ bytes: ByteBuffer) async throws {
        try await outbound.write(Self.frame(.binary, bytes))
    }

    /// Sends a text message.
    public func send(text: String) async throws {
        try await outbound.write(Self.frame(.text, ByteBuffer(string: text)))
    }

    /// Says that nothing more comes on this stream; the websocket stays open.
    public func sendEndOfStream() async throws {
        try await outbound.write(Self.frame(.text, ByteBuffer()))
    }

    /// Says goodbye, if the daemon still listens.
    func close() async {
        try? await outbound.write(Self.frame(.connectionClose, ByteBuffer(bytes: [0x03, 0xE8])))
    }

    fileprivate static func frame(_ opcode: WebSocketOpcode, _ bytes: ByteBuffer) -> WebSocketFrame {
        WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: bytes)
    }
}

/// The messages of a websocket, until the daemon closes it.
public struct WebSocketMessages: AsyncSequence, Sendable {
    fileprivate let inbound: NIOAsyncChannelInboundStream<WebSocketFrame>
    fileprivate let outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>

    /// Begins to read.
    public func makeAsyncIterator() -> Iterator {
        Iterator(frames: inbound.makeAsyncIterator(), outbound: outbound)
    }

    /// Reads messages one after another.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate var frames: NIOAsyncChannelInboundStream<WebSocketFrame>.AsyncIterator
        fileprivate let outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
        private var assembler = WebSocketAssembler()

        fileprivate init(
            frames: NIOAsyncChannelInboundStream<WebSocketFrame>.AsyncIterator,
            outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
        ) {
            self.frames = frames
            self.outbound = outbound
        }

        /// The next message; nil once the daemon has closed the websocket.
        public mutating func next() async throws -> WebSocketMessage? {
            while let frame = try await nextFrame() {
                switch try assembler.receive(frame) {
                case .deliver(let message): return message
                case .pong(let bytes): try? await outbound.write(WebSocket.frame(.pong, bytes))
                case .nothing: continue
                case .close: return nil
                }
            }
            return nil
        }

        private mutating func nextFrame() async throws -> WebSocketFrame? {
            do {
                return try await frames.next()
            } catch is any NIOConnectionTrouble {
                return nil
            }
        }
    }
}

extension Transport {
    /// The largest frame that is taken from the daemon.
    static let largestFrame = 16 << 20

    private enum Upgrade: Sendable {
        case open(NIOAsyncChannel<WebSocketFrame, WebSocketFrame>)
        case refused(HTTPChannel)
    }

    /// Opens a websocket for as long as `body` runs.
    package func webSocket<Output: Sendable>(
        _ request: Request, body: @escaping @Sendable (WebSocket) async throws -> Output
    ) async throws -> Output {
        var head = head(for: request)
        head.headers.replaceOrAdd(name: "Content-Length", value: "0")
        let requestHead = head
        let upgrade: EventLoopFuture<Upgrade> = try await connect { channel in
            channel.eventLoop.makeCompletedFuture {
                let upgrader = NIOTypedWebSocketClientUpgrader<Upgrade>(
                    maxFrameSize: Self.largestFrame, enableAutomaticErrorHandling: false
                ) { channel, _ in
                    channel.eventLoop.makeCompletedFuture {
                        .open(try NIOAsyncChannel(wrappingChannelSynchronously: channel))
                    }
                }
                let configuration = NIOTypedHTTPClientUpgradeConfiguration(
                    upgradeRequestHead: requestHead, upgraders: [upgrader]
                ) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        .refused(try NIOAsyncChannel(wrappingChannelSynchronously: channel))
                    }
                }
                var pipeline = NIOUpgradableHTTPClientPipelineConfiguration(
                    upgradeConfiguration: configuration)
                // A quick daemon's first frames come in one piece with the end of its HTTP answer.
                pipeline.leftOverBytesStrategy = .forwardBytes
                return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(
                    configuration: pipeline)
            }
        }
        switch try await upgrade.get() {
        case .open(let channel):
            return try await channel.executeThenClose { inbound, outbound in
                let socket = WebSocket(inbound: inbound, outbound: outbound)
                let result = try await body(socket)
                await socket.close()
                return result
            }
        case .refused(let channel):
            throw try await channel.executeThenClose { inbound, _ in
                var parts = inbound.makeAsyncIterator()
                let head = try await ReplyHead(reading: &parts)
                let body = try await ReplyBody(parts: parts).collect(limit: 1 << 20)
                return Client.refusal(status: head.status, body: body)
            }
        }
    }
}

extension Client {
    /// Opens a websocket for as long as `body` runs.
    public func webSocket<Output: Sendable>(
        _ path: String, query: [(name: String, value: String)] = [],
        body: @escaping @Sendable (WebSocket) async throws -> Output
    ) async throws -> Output {
        try await transport.webSocket(Request(.GET, path, query: query), body: body)
    }
}
