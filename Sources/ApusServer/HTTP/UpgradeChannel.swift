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
    }

    struct Value: ServerChildChannelValue {
        let negotiated: EventLoopFuture<Negotiated>
        let channel: any Channel
    }

    /// The largest frame a client may send.
    static let maxFrameSize = 4 << 20

    let responder: Responder
    /// What a request for a websocket leads to; nil to let the responder refuse it.
    let webSocket: @Sendable (_ target: String) async -> WebSocketHandler?

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let upgrader = NIOTypedWebSocketServerUpgrader<Negotiated>(
                maxFrameSize: Self.maxFrameSize,
                shouldUpgrade: { channel, head in
                    // The handler found here is kept on the channel until the pipeline is rebuilt.
                    channel.eventLoop.makeFutureWithTask { await webSocket(head.uri) }.flatMap { handler in
                        guard let handler else { return channel.eventLoop.makeSucceededFuture(nil) }
                        return channel.pipeline.addHandler(HandlerBox(handler)).map { HTTPHeaders() }
                    }
                },
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
                        try channel.pipeline.syncOperations.addHandler(HTTP1ToHTTPServerCodec(secure: false))
                        try channel.pipeline.syncOperations.addHandler(
                            HTTPConnectionStateHandler(idleTimeout: .seconds(300), logger: logger))
                        return .http(
                            try NIOAsyncChannel(
                                wrappingChannelSynchronously: channel,
                                configuration: .init(isOutboundHalfClosureEnabled: true)))
                    }
                })
            var configuration = NIOUpgradableHTTPServerPipelineConfiguration(upgradeConfiguration: upgrade)
            configuration.enablePipelining = false
            configuration.enableErrorHandling = false
            configuration.enableResponseHeaderValidation = false
            configuration.decoderConfiguration.maxHeaderFieldSize = 16 << 10
            configuration.decoderConfiguration.maxHeaderListSize = 64 << 10
            configuration.decoderConfiguration.maxHeaderFieldCount = 100
            let negotiated = try channel.pipeline.syncOperations.configureUpgradableHTTPServerPipeline(
                configuration: configuration)
            return Value(negotiated: negotiated, channel: channel)
        }
    }

    func handle(value: Value, logger: Logger) async {
        do {
            switch try await value.negotiated.get() {
            case .http(let channel): await handleHTTP(asyncChannel: channel, logger: logger)
            case .webSocket(let channel, let handler): await WebSocketConnection.run(channel, handler)
            }
        } catch {
            logger.debug("connection ended before a request", metadata: ["reason": "\(error)"])
            try? await value.channel.close()
        }
    }
}

/// Carries what a websocket will do from the decision to upgrade to the upgraded pipeline.
private final class HandlerBox: ChannelInboundHandler, Sendable {
    typealias InboundIn = NIOAny
    let handler: WebSocketHandler

    init(_ handler: @escaping WebSocketHandler) { self.handler = handler }
}
