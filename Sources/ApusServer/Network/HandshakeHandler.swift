import Certificates
import NIOCore
import NIOSSL
import NIOTLS

/// Watches over the beginning of a connection: the handshake of TLS has to be done in time, as the first request has, and
/// then it is known who is at the other end.
final class HandshakeHandler: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    /// How long a handshake may take.
    static let handshakeTime: TimeAmount = .seconds(10)
    /// How long the head of the first request may take after it.
    static let headTime: TimeAmount = .seconds(20)

    private let connection: ClientConnection
    private let gate: ConnectionGate

    init(_ connection: ClientConnection, _ gate: ConnectionGate) {
        self.connection = connection
        self.gate = gate
    }

    func handlerAdded(context: ChannelHandlerContext) { connection.allow(Self.handshakeTime) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent {
            connection.certificate = certificate(of: context)
            guard gate.handshakeDone(connection) else { return connection.endNow() }
            connection.allow(Self.headTime)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        connection.allow(nil)
        gate.forget(connection)
    }

    /// What the client has shown. One that cannot be read is worth as much as none.
    private func certificate(of context: ChannelHandlerContext) -> TLSCertificate? {
        guard let peer = try? context.pipeline.syncOperations.nioSSL_peerCertificate() else { return nil }
        return try? TLSCertificate(der: peer.toDERBytes())
    }
}
