import ApusCore
import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// What a websocket does once it is connected.
typealias WebSocketHandler = @Sendable (WebSocketConnection) async -> Void

/// A connection that speaks HTTP/1.1, or becomes a websocket with its first request.
struct UpgradeChannel: ServerChildChannel {
    enum Negotiated: Sendable {
        case webSocket(WebSocketConnection.Channel, WebSocketHandler)
        case http(NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>)
        case refused(NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>, ServiceError)
    }

    struct Value: ServerChildChannelValue {
        let negotiated: EventLoopFuture<Negotiated>
        let channel: any Channel
        let connection: ClientConnection
    }

    /// Answers requests.
    let router: Router
    /// Who is trusted.
    let trust: TrustService
    /// Who is there over the network.
    let gate: ConnectionGate

    /// A connection over the unix socket.
    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            try pipeline(of: channel, ClientConnection(local: channel, trust: trust), logger)
        }
    }

    /// Sets up a connection, over whatever it comes. On the channel's event loop.
    func pipeline(of channel: any Channel, _ connection: ClientConnection, _ logger: Logger) throws -> Value {
        let refusal = NIOLoopBoundBox<ServiceError?>(nil, eventLoop: channel.eventLoop)
        let upgrader = WebSocketUpgrader<Negotiated>(
            shouldUpgrade: { channel, head in shouldUpgrade(channel, head.uri, connection, refusal) },
            begin: { channel in
                let box = try channel.pipeline.syncOperations.handler(type: HandlerBox.self)
                let frames = try WebSocketConnection.Channel(
                    wrappingChannelSynchronously: channel,
                    configuration: .init(isOutboundHalfClosureEnabled: true))
                return .webSocket(frames, box.handler)
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
        // The first request is there: whoever it is has not just come to hold a connection open.
        negotiated.whenComplete { _ in connection.allow(nil) }
        return Value(negotiated: negotiated, channel: channel, connection: connection)
    }

    func handle(value: Value, logger: Logger) async {
        do {
            switch try await value.negotiated.get() {
            case .http(let channel):
                await HTTPConversation(upgrade: self, connection: value.connection)
                    .handleHTTP(asyncChannel: channel, logger: logger)
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
        _ channel: any Channel, _ target: String, _ connection: ClientConnection,
        _ refusal: NIOLoopBoundBox<ServiceError?>
    ) -> EventLoopFuture<HTTPHeaders?> {
        channel.eventLoop.makeFutureWithTask { () -> Result<WebSocketHandler, ServiceError> in
            do throws(ServiceError) {
                let handler = try await router.webSocket(target, from: Requester(connection))
                gate.vouch(for: connection)
                return .success(handler)
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

/// The requests and replies of one connection.
private struct HTTPConversation: HTTPChannelHandler {
    /// How long a stranger's request may take to come in.
    static let requestTime: TimeAmount = .seconds(60)

    let upgrade: UpgradeChannel
    let connection: ClientConnection

    var responder: Responder {
        { request, writer, _ in
            let requester = Requester(connection)
            // One request of a stranger's for each connection: it is counted, and has its time.
            if !requester.isTrusted {
                connection.endAfterReply()
                connection.allow(Self.requestTime)
            }
            var response = await ClientConnection.$current.withValue(connection) {
                await upgrade.router.respond(to: request, from: requester)
            }
            connection.allow(nil)
            if connection.endsAfterReply { response.headers[.connection] = "close" }
            try await writer.write(response: response.head, body: response.body)
            if response.headers[.connection] == "close" { throw CloseConnection() }
        }
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<UpgradeChannel.Value> {
        upgrade.setup(channel: channel, logger: logger)
    }

    func handle(value: UpgradeChannel.Value, logger: Logger) async {
        await upgrade.handle(value: value, logger: logger)
    }
}

/// Ends a connection after its reply.
private struct CloseConnection: Error {}

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
