public import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket

/// An open websocket.
public struct WebSocket: Sendable {
    /// The largest frame that is sent; more goes in several, which are one message still.
    public static let largestFrame = 1 << 20

    /// What comes from the daemon. May be read by one task, and once.
    public let messages: WebSocketMessages
    private let outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
    private let turn: SendingTurn
    private let channel: any Channel

    init(
        inbound: NIOAsyncChannelInboundStream<WebSocketFrame>,
        outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>, channel: any Channel, peer: Endpoint
    ) {
        turn = SendingTurn(channel.eventLoop)
        self.channel = channel
        messages = WebSocketMessages(inbound: inbound, outbound: outbound, peer: peer)
        self.outbound = outbound
    }

    /// Sends bytes as one binary message; waits while the daemon does not keep up. For one task at a time.
    public func send(_ bytes: ByteBuffer) async throws {
        var rest = bytes
        var opcode = WebSocketOpcode.binary
        while rest.readableBytes > Self.largestFrame, let part = rest.readSlice(length: Self.largestFrame) {
            try await write(opcode, part, isLast: false)
            opcode = .continuation
        }
        try await write(opcode, rest, isLast: true)
    }

    private func write(_ opcode: WebSocketOpcode, _ bytes: ByteBuffer, isLast: Bool) async throws {
        try await turn.wait()
        try await outbound.write(Self.frame(opcode, bytes, isLast: isLast))
        turn.passed(bytes.readableBytes)
    }

    /// Sends bytes as one binary message; waits while the daemon does not keep up. For one task at a time.
    public func send(_ bytes: [UInt8]) async throws { try await send(ByteBuffer(bytes: bytes)) }

    /// Sends a text message.
    public func send(text: String) async throws {
        try await outbound.write(Self.frame(.text, ByteBuffer(string: text)))
    }

    /// Says that nothing more comes on this stream; the websocket stays open.
    public func sendEndOfStream() async throws {
        try await outbound.write(Self.frame(.text, ByteBuffer()))
    }

    /// Has the websocket end `limit` after the daemon has last answered; for one that is always read.
    public func noticeLoss(within limit: Duration) async { await channel.noticeLoss(within: limit) }

    /// Says goodbye, if the daemon still listens.
    func close() async {
        try? await outbound.write(Self.frame(.connectionClose, ByteBuffer(bytes: [0x03, 0xE8])))
    }

    fileprivate static func frame(
        _ opcode: WebSocketOpcode, _ bytes: ByteBuffer, isLast: Bool = true
    ) -> WebSocketFrame {
        WebSocketFrame(fin: isLast, opcode: opcode, maskKey: .random(), data: bytes)
    }
}

/// The messages of a websocket, until the daemon closes it. Pings are answered while they are being read.
public struct WebSocketMessages: AsyncSequence, Sendable {
    fileprivate let inbound: NIOAsyncChannelInboundStream<WebSocketFrame>
    fileprivate let outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
    fileprivate let peer: Endpoint

    /// Begins to read.
    public func makeAsyncIterator() -> Iterator { Iterator(self) }

    /// Reads messages one after another. A connection that ends without a goodbye is an error: something may be missing.
    public struct Iterator: AsyncIteratorProtocol {
        private var frames: NIOAsyncChannelInboundStream<WebSocketFrame>.AsyncIterator
        private let outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
        private let peer: Endpoint
        private var assembler: WebSocketAssembler
        private var closed = false

        fileprivate init(_ messages: WebSocketMessages) {
            frames = messages.inbound.makeAsyncIterator()
            outbound = messages.outbound
            peer = messages.peer
            assembler = WebSocketAssembler(peer: messages.peer)
        }

        /// The next message, a binary one in parts as they arrive; nil once the daemon has closed the websocket.
        public mutating func next() async throws -> WebSocketMessage? {
            while let frame = try await nextFrame() {
                if case .deliver(let message) = try await act(on: frame) { return message }
            }
            return nil
        }

        /// The next message, whole; nil once the daemon has closed the websocket.
        /// - Throws: `ClientError` with `broken` also if a binary message has more than `limit` bytes.
        public mutating func nextWhole(limit: Int) async throws -> WebSocketMessage? {
            var whole = ByteBuffer()
            while let frame = try await nextFrame() {
                switch try await act(on: frame) {
                case .deliver(.bytes(var part)):
                    if whole.readableBytes == 0 { whole = part } else { whole.writeBuffer(&part) }
                    guard whole.readableBytes <= limit else {
                        throw ClientError(.broken, "\(peer) sent a message of more than \(limit) bytes")
                    }
                case .deliver(let message): return message
                case .nothing where frame.opcode == .binary || frame.opcode == .continuation: break
                default: continue
                }
                if !assembler.isInMessage { return .bytes(whole) }
            }
            return nil
        }

        private mutating func act(on frame: WebSocketFrame) async throws -> WebSocketAssembler.Action {
            let action = try assembler.receive(frame)
            switch action {
            case .pong(let bytes): try? await outbound.write(WebSocket.frame(.pong, bytes))
            case .close: closed = true
            case .deliver, .nothing: break
            }
            return action
        }

        private mutating func nextFrame() async throws -> WebSocketFrame? {
            do {
                if !closed, let frame = try await frames.next() { return frame }
            } catch let error as any NIOConnectionTrouble {
                throw ClientError(.broken, "the connection to \(peer) broke: \(error)")
            } catch let error as WebSocketFrameParser.Violation {
                throw ClientError(.broken, "\(peer) broke the websocket protocol: \(error)")
            }
            if closed || Task.isCancelled { return nil }
            throw ClientError(.broken, "the connection to \(peer) ended too early")
        }
    }
}

extension Transport {
    /// How much may wait in a websocket's channel before its senders do. One frame can be encrypted while the kernel takes
    /// another.
    private static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 512 << 10, high: 2 << 20)

    /// Opens a websocket for as long as `body` runs.
    package func webSocket<Output: Sendable>(
        _ request: Request, body: @escaping @Sendable (WebSocket) async throws -> Output
    ) async throws -> Output {
        let head = head(for: request)
        let frames = try await connect { [endpoint] channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.syncOptions?.setOption(.writeBufferWaterMark, value: Self.waterMark)
                let result = channel.eventLoop.makePromise(of: WebSocketHandshake.Frames.self)
                try channel.pipeline.syncOperations.addHandler(
                    WebSocketHandshake(request: head, peer: endpoint, result: result))
                return result.futureResult
            }
        }.get()
        return try await frames.executeThenClose { [endpoint] inbound, outbound in
            let socket = WebSocket(
                inbound: inbound, outbound: outbound, channel: frames.channel, peer: endpoint)
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
