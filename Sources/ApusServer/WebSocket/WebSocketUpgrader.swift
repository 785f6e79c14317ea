import ApusClient
import NIOCore
import NIOHTTP1
import NIOWebSocket

/// Makes a websocket of a connection: NIO's handshake, and then the codec that the client uses too. NIO's own gathers each
/// frame whole, and copies what it has with each piece that comes; of memory that moves there are gigabytes.
final class WebSocketUpgrader<UpgradeResult: Sendable>: NIOTypedHTTPServerProtocolUpgrader {
    let supportedProtocol = "websocket"
    let requiredUpgradeHeaders: [String] = []
    private let handshake: NIOTypedWebSocketServerUpgrader<UpgradeResult>
    private let begin: @Sendable (any Channel) throws -> UpgradeResult

    /// - Parameters:
    ///   - shouldUpgrade: more headers of the answer; nil if the request is not to be granted.
    ///   - begin: what is done when frames can come, on the channel's event loop.
    init(
        shouldUpgrade: @escaping @Sendable (any Channel, HTTPRequestHead) -> EventLoopFuture<HTTPHeaders?>,
        begin: @escaping @Sendable (any Channel) throws -> UpgradeResult
    ) {
        self.begin = begin
        handshake = NIOTypedWebSocketServerUpgrader(shouldUpgrade: shouldUpgrade) { channel, _ in
            channel.eventLoop.makeCompletedFuture { try begin(channel) }
        }
    }

    func buildUpgradeResponse(
        channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
    ) -> EventLoopFuture<HTTPHeaders> {
        handshake.buildUpgradeResponse(
            channel: channel, upgradeRequest: upgradeRequest, initialResponseHeaders: initialResponseHeaders)
    }

    func upgrade(channel: any Channel, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<UpgradeResult> {
        channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(WebSocketCodec(toClient: true))
            return try begin(channel)
        }
    }
}
