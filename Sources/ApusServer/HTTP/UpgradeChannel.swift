import ApusCore
import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOWebSocket

/// What a websocket does once it is connected.
typealias WebSocketHandler = @Sendable (WebSocketConnection) async -> Void

/// A connection that speaks HTTP/1.1, or becomes a websocket with its first request.
struct UpgradeChannel: ServerChildChannel, HTTPChannelHandler {
    enum Negotiated: Sendable {
        case webSocket(WebSocketConnection.Channel, WebSocketHandler)
        case http(NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>)
        case refused(NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>, ServiceError)
    }

    struct Value: ServerChildChannelValue {
        let negotiated: EventLoopFuture<Negotiated>
        let channel: any Channel
    }

    /// The largest frame a client may send.
    static let maxFrameSize = 4 << 20

    let responder: Responder
    /// What a request for a websocket leads to.
    let webSocket: @Sendable (_ target: String) async throws(ServiceError) -> WebSocketHandler

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let refusal = NIOLoopBoundBox<ServiceError?>(nil, eventLoop: channel.eventLoop)
            let upgrader = NIOTypedWebSocketServerUpgrader<Negotiated>(
                maxFrameSize: Self.maxFrameSize,
                shouldUpgrade: { channel, head in shouldUpgrade(channel, head.uri, refusal) },
                upgradePipelineHandler: { channel, _ in
                    channel.eventLoop.makeCompletedFuture {
                        let box = try channel.pipeline.syncOperations.handler(type: HandlerBox.self)
                        let frames = try WebSocketConnection.Channel(
                            wrappingChannelSynchronously: channel,
                            configuration: .init(isOutboundHalfClosureEnabled: true))
                        return .webSocket(frames, box.handler)
                    }
                })
            let upgrade = NIOTypedHTTPServerUpgradeConfiguration<Negotiated>(
                upgraders: [upgrader],
                notUpgradingCompletionHandler: { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let http = try Self.http(channel, logger)
                        return refusal.value.map { .refused(http, $0) } ?? .http(http)
                    }
                })
            var configuration = NIOUpgradableHTTPServerPipelineConfiguration(upgradeConfiguration: upgrade)
            configuration.enablePipelining = false
            // What is no HTTP is answered with 400, and the connection closed.
            configuration.enableErrorHandling = true
            configuration.enableResponseHeaderValidation = false
            configuration.decoderConfiguration.maxHeaderFieldSize = 16 << 10
            configuration.decoderConfiguration.maxHeaderListSize = 64 << 10
            configuration.decoderConfiguration.maxHeaderFieldCount = 100
            let negotiated = try channel.pipeline.syncOperations.configureUpgradableHTTPServerPipeline(
                configuration: configuration)
            try channel.pipeline.syncOperations.addHandler(ProtocolErrorCloser())
            return Value(negotiated: negotiated, channel: channel)
        }
    }

    func handle(value: Value, logger: Logger) async {
        do {
            switch try await value.negotiated.get() {
            case .http(let channel): await handleHTTP(asyncChannel: channel, logger: logger)
            case .refused(let channel, let error): try await refuse(channel, error)
            case .webSocket(let channel, let handler): await WebSocketConnection.run(channel, handler)
            }
        } catch {
            logger.debug("connection ended before a request", metadata: ["reason": "\(error)"])
            try? await value.channel.close()
        }
    }

    /// Asks what the websocket is for; the answer is kept on the channel until the pipeline is rebuilt.
    private func shouldUpgrade(
        _ channel: any Channel, _ target: String, _ refusal: NIOLoopBoundBox<ServiceError?>
    ) -> EventLoopFuture<HTTPHeaders?> {
        channel.eventLoop.makeFutureWithTask { () -> Result<WebSocketHandler, ServiceError> in
            do throws(ServiceError) {
                return .success(try await webSocket(target))
            } catch {
                return .failure(error)
            }
        }.flatMap { decision in
            switch decision {
            case .success(let handler):
                return channel.pipeline.addHandler(HandlerBox(handler)).map { HTTPHeaders() }
            case .failure(let error):
                refusal.value = error
                return channel.eventLoop.makeSucceededFuture(nil)
            }
        }
    }

    private static func http(
        _ channel: any Channel, _ logger: Logger
    ) throws -> NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart> {
        try channel.pipeline.syncOperations.addHandler(HTTP1ToHTTPServerCodec(secure: false))
        try channel.pipeline.syncOperations.addHandler(
            HTTPConnectionStateHandler(idleTimeout: .seconds(300), logger: logger))
        return try NIOAsyncChannel(
            wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
    }

    /// Answers a request for a websocket that is not to be had. The request itself was used up by the negotiation.
    private func refuse(
        _ channel: NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>, _ error: ServiceError
    ) async throws {
        try await channel.executeThenClose { _, outbound in
            var reply = Reply.error(error.code.rawValue, error.message)
            reply.headers[.connection] = "close"
            try await ResponseWriter(outbound: outbound).write(response: reply.head, body: reply.body)
        }
    }
}

/// Carries what a websocket will do from the decision to upgrade to the upgraded pipeline.
private final class HandlerBox: ChannelInboundHandler, Sendable {
    typealias InboundIn = NIOAny
    let handler: WebSocketHandler

    init(_ handler: @escaping WebSocketHandler) { self.handler = handler }
}

/// Closes a connection on which something other than HTTP came, once it has been answered with 400.
private final class ProtocolErrorCloser: ChannelInboundHandler, Sendable {
    typealias InboundIn = NIOAny

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is HTTPParserError {
            context.close(promise: nil)
        } else {
            context.fireErrorCaught(error)
        }
    }
}
