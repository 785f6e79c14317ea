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

    /// Reads messages one after another. A connection that ends without a goodbye is an error: something may be missing.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate var frames: NIOAsyncChannelInboundStream<WebSocketFrame>.AsyncIterator
        fileprivate let outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
        private var assembler = WebSocketAssembler()
        private var closed = false

        fileprivate init(
            frames: NIOAsyncChannelInboundStream<WebSocketFrame>.AsyncIterator,
            outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
        ) {
            self.frames = frames
            self.outbound = outbound
        }

        /// The next message; nil once the daemon has closed the websocket.
        public mutating func next() async throws -> WebSocketMessage? {
            while !closed, let frame = try await nextFrame() {
                switch try assembler.receive(frame) {
                case .deliver(let message): return message
                case .pong(let bytes): try? await outbound.write(WebSocket.frame(.pong, bytes))
                case .nothing: continue
                case .close: closed = true
                }
            }
            if closed || Task.isCancelled { return nil }
            throw ClientError(.broken, "the connection to apusd ended too early")
        }

        private mutating func nextFrame() async throws -> WebSocketFrame? {
            do {
                return try await frames.next()
            } catch let error as any NIOConnectionTrouble {
                throw ClientError(.broken, "the connection to apusd broke: \(error)")
            }
        }
    }
}

extension Transport {
    /// The largest frame that is taken from the daemon.
    static let largestFrame = 16 << 20

    /// Opens a websocket for as long as `body` runs.
    package func webSocket<Output: Sendable>(
        _ request: Request, body: @escaping @Sendable (WebSocket) async throws -> Output
    ) async throws -> Output {
        let head = head(for: request)
        let frames = try await connect { channel in
            channel.eventLoop.makeCompletedFuture {
                let result = channel.eventLoop.makePromise(of: WebSocketHandshake.Frames.self)
                try channel.pipeline.syncOperations.addHandler(
                    WebSocketHandshake(request: head, result: result))
                return result.futureResult
            }
        }.get()
        return try await frames.executeThenClose { inbound, outbound in
            let socket = WebSocket(inbound: inbound, outbound: outbound)
            let result = try await body(socket)
            await socket.close()
            return result
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
