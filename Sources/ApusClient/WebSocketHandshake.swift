import NIOCore
import NIOHTTP1
import NIOWebSocket

/// The client's half of the websocket handshake, all in the call that brings its last byte.
///
/// NIO's own upgrader takes some turns of the loop to change the pipeline. A daemon that has little to say sends its
/// answer, the frames and the end of the connection at once; what followed the answer was lost then.
final class WebSocketHandshake: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    typealias Frames = NIOAsyncChannel<WebSocketFrame, WebSocketFrame>

    private enum State {
        /// The answer's head has not come whole yet.
        case waiting
        /// The daemon refuses; its words are being collected.
        case refused(status: Int, length: Int?)
        case finished
    }
    private let request: HTTPRequestHead
    private let key = WebSocketKey.random()
    private let peer: Endpoint
    private let result: EventLoopPromise<Frames>
    private var state = State.waiting
    private var received = ByteBuffer()

    /// The largest head of an answer, and the largest refusal, that are taken.
    private static let limit = 1 << 20

    init(request: HTTPRequestHead, peer: Endpoint, result: EventLoopPromise<Frames>) {
        self.request = request
        self.peer = peer
        self.result = result
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { send(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        send(context)
        context.fireChannelActive()
    }

    private func send(_ context: ChannelHandlerContext) {
        var text = "GET \(request.uri) HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        text += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \(key)\r\n"
        for (name, value) in request.headers { text += "\(name): \(value)\r\n" }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text + "\r\n")), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .finished = state { return context.fireChannelRead(data) }
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        do {
            if case .waiting = state { try readHead(context) }
            if case .refused(_, let length?) = state, received.readableBytes >= length { refuse(context) }
            if received.readableBytes > Self.limit, !isFinished { throw broken("is too long") }
        } catch {
            fail(error, context)
        }
    }

    // The connection may be gone before its pipeline was ready.
    func handlerRemoved(context: ChannelHandlerContext) {
        guard !isFinished else { return }
        state = .finished
        result.fail(broken("has no end"))
    }

    func channelInactive(context: ChannelHandlerContext) {
        switch state {
        case .waiting: fail(broken("has no end"), context)
        case .refused: refuse(context)
        case .finished: break
        }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if !isFinished { fail(ClientError(.broken, "the connection to \(peer) broke: \(error)"), context) }
        context.fireErrorCaught(error)
    }

    private var isFinished: Bool { if case .finished = state { true } else { false } }

    /// Reads the head of the answer once it is there.
    private func readHead(_ context: ChannelHandlerContext) throws {
        let view = received.readableBytesView
        let ending = Array("\r\n\r\n".utf8)
        guard view.count >= 4,
            let end = view.indices.dropLast(3).first(where: { view[$0..<($0 + 4)].elementsEqual(ending) })
        else { return }
        let text = String(decoding: view[..<end], as: UTF8.self)
        received.moveReaderIndex(to: end + 4)
        let lines = text.split(separator: "\r\n")
        let words = (lines.first ?? "").split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
            throw broken("is not HTTP")
        }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { throw broken("has a malformed header") }
            headers[line[..<colon].lowercased()] =
                String(line[line.index(after: colon)...]).trimmingSpaces
        }
        guard status == 101 else {
            state = .refused(status: status, length: headers["content-length"].flatMap { Int($0) })
            return
        }
        guard headers["upgrade"]?.lowercased() == "websocket",
            headers["sec-websocket-accept"] == WebSocketKey.accept(for: key)
        else { throw broken("does not agree to a websocket") }
        try open(context)
    }

    /// Makes the connection a websocket and hands on what came after the answer.
    private func open(_ context: ChannelHandlerContext) throws {
        let pipeline = context.pipeline.syncOperations
        try pipeline.addHandler(WebSocketCodec(toClient: false))
        let frames = try Frames(wrappingChannelSynchronously: context.channel)
        state = .finished
        result.succeed(frames)
        if received.readableBytes > 0 {
            context.fireChannelRead(NIOAny(received))
            received = ByteBuffer()
        }
        pipeline.removeHandler(self, promise: nil)
    }

    private func refuse(_ context: ChannelHandlerContext) {
        guard case .refused(let status, _) = state else { return }
        fail(Client.refusal(status: status, body: received, by: peer), context)
    }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        state = .finished
        result.fail(error)
        context.close(promise: nil)
    }

    private func broken(_ what: String) -> ClientError {
        ClientError(.broken, "\(peer)'s answer to a websocket handshake \(what)")
    }
}

extension String {
    /// Without spaces at both ends.
    fileprivate var trimmingSpaces: String {
        var text = self[...]
        while text.first == " " { text = text.dropFirst() }
        while text.last == " " { text = text.dropLast() }
        return String(text)
    }
}
