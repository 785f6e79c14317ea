import ApusCore
import Certificates
import NIOCore
import Synchronization

/// One connection of a client: where it comes from, and who is at its other end.
final class ClientConnection: Sendable {
    private struct State {
        var certificate: TLSCertificate?
        var deadline: Scheduled<Void>?
        var endsAfterReply = false
    }

    /// The connection whose request is being answered.
    @TaskLocal static var current: ClientConnection?

    /// The address of the other end, without its port; nil over the unix socket.
    let address: String?
    private let channel: any Channel
    private let trust: TrustService
    private let state = Mutex(State())

    /// A connection over the unix socket.
    init(local channel: any Channel, trust: TrustService) {
        address = nil
        self.channel = channel
        self.trust = trust
    }

    /// A connection over the network.
    init(_ channel: any Channel, from address: String, trust: TrustService) {
        self.address = address
        self.channel = channel
        self.trust = trust
    }

    /// The certificate whose key the client has shown to hold; known after the handshake.
    var certificate: TLSCertificate? {
        get { state.withLock { $0.certificate } }
        set { state.withLock { $0.certificate = newValue } }
    }

    /// How far the client is trusted now.
    var access: Access {
        guard address != nil else { return .local }
        guard let certificate, trust.isTrusted(certificate) else { return .anyone }
        return .trusted
    }

    /// Whether the connection is closed after the reply that is being made.
    var endsAfterReply: Bool { state.withLock { $0.endsAfterReply } }

    /// Closes the connection after the reply that is being made.
    func endAfterReply() { state.withLock { $0.endsAfterReply = true } }

    /// Closes the connection unless the next step of it is made in time; nil if it may take its time.
    func allow(_ time: TimeAmount?) {
        let next = time.map { time in
            channel.eventLoop.scheduleTask(in: time) { [weak self] in
                self?.endNow()
                return
            }
        }
        let former = state.withLock { state in
            defer { state.deadline = next }
            return state.deadline
        }
        former?.cancel()
    }

    /// Closes the connection at once, without the farewells of TLS.
    func endNow() { channel.triggerUserOutboundEvent(HardEnd.Now(), promise: nil) }
}

/// Sits where the bytes leave, and ends a connection without asking what else is in the pipeline.
final class HardEnd: ChannelOutboundHandler, Sendable {
    typealias OutboundIn = ByteBuffer

    /// Tells the handler to do so.
    struct Now: Sendable {}

    func triggerUserOutboundEvent(
        context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?
    ) {
        if event is Now {
            context.close(promise: promise)
        } else {
            context.triggerUserOutboundEvent(event, promise: promise)
        }
    }
}
