public import Certificates
public import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// Opens connections by TCP and TLS.
struct SecureConnector: Sendable {
    let address: SecureAddress
    let context: SecureContext
    let group: any EventLoopGroup
    /// How long connecting and TLS may take together.
    let limit: TimeAmount

    /// Connects, and sets the channel up once it is secure. Cancelling the task closes what is under way.
    func connect<Output: Sendable>(
        telling peer: SecureContext.Peer = SecureContext.Peer(),
        _ initializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Output>
    ) async throws -> Output {
        let attempt = Attempt()
        do {
            return try await withTaskCancellationHandler {
                try await PeerLoss.usual.reduce(ClientBootstrap(group: group)) {
                    $0.channelOption($1.option, value: $1.value)
                }
                .connectTimeout(limit)
                .channelOption(.socketOption(.tcp_nodelay), value: 1)
                .connect(host: address.host, port: address.port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        guard attempt.add(channel) else { throw CancellationError() }
                        let result = channel.eventLoop.makePromise(of: Output.self)
                        let start = SecureStart(limit: limit, result: result, initializer: initializer)
                        do {
                            try channel.pipeline.syncOperations.addHandler(try context.handler(peer))
                            try channel.pipeline.syncOperations.addHandler(start)
                        } catch {
                            result.fail(error)
                            throw error
                        }
                        return result.futureResult
                    }
                }.get()
            } onCancel: {
                attempt.cancel()
            }
        } catch {
            if Task.isCancelled { throw CancellationError() }
            throw ClientError.secure(address, stranger: peer.stranger, error)
        }
    }

    /// The channels that an attempt to connect has opened: one for each address of the host.
    private final class Attempt: Sendable {
        private let channels = Mutex<[any Channel]?>([])

        /// False if the attempt has been given up.
        func add(_ channel: any Channel) -> Bool {
            channels.withLock { channels in
                channels?.append(channel)
                return channels != nil
            }
        }

        func cancel() {
            let open = channels.withLock { channels in
                defer { channels = nil }
                return channels ?? []
            }
            for channel in open { channel.close(promise: nil) }
        }
    }
}

extension SecureAddress {
    /// The certificate that whoever listens at the address shows, whatever it is. Nothing is sent there, and nothing of
    /// this client is shown.
    /// - Throws: `ClientError` with `unreachable`.
    public func shownCertificate(
        group: (any EventLoopGroup)? = nil, limit: Duration = .seconds(15)
    ) async throws -> TLSCertificate {
        let anonymous = SecureAddress(host: host, port: port)
        do {
            let connector = SecureConnector(
                address: anonymous, context: try SecureContext(anonymous, acceptsAnyone: true),
                group: group ?? MultiThreadedEventLoopGroup.singleton, limit: TimeAmount(limit))
            let peer = SecureContext.Peer()
            let channel = try await connector.connect(telling: peer) { $0.eventLoop.makeSucceededFuture($0) }
            channel.close(promise: nil)
            return try TLSCertificate(der: peer.certificate ?? [])
        } catch let error as CertificateError {
            throw ClientError(
                .notRecognised, "\(label) shows a certificate that cannot be read: \(error.message)")
        }
    }
}
