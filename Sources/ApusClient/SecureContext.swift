import Certificates
import NIOCore
import NIOSSL
import Synchronization

/// How connections to one daemon are made secure. Made once per client; its connections share it.
struct SecureContext: Sendable {
    /// How a daemon is known.
    private enum Recognition: Sendable {
        /// By one certificate.
        case pinned([UInt8])
        /// By the system's authorities, and its name.
        case authorities
        /// Not at all: its certificate is what is wanted.
        case anyone
    }

    private let address: SecureAddress
    private let recognition: Recognition
    private let context: NIOSSLContext

    /// - Parameter acceptsAnyone: to look at a certificate, not to send anything.
    init(_ address: SecureAddress, acceptsAnyone: Bool = false) throws {
        self.address = address
        recognition = acceptsAnyone ? .anyone : address.pinned.map { .pinned($0.der) } ?? .authorities
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv13
        // After our goodbye nothing more is wanted from the other end.
        tls.shutdownTimeout = .seconds(1)
        // Reading the system's authorities takes longer than everything else; only where they count.
        if case .authorities = recognition {} else { tls.trustRoots = .certificates([]) }
        if let identity = address.identity {
            tls.certificateChain = [
                .certificate(try NIOSSLCertificate(bytes: identity.certificate.der, format: .der))
            ]
            tls.privateKey = .privateKey(
                try NIOSSLPrivateKey(bytes: Array(identity.privateKeyPEM.utf8), format: .pem))
        }
        context = try NIOSSLContext(configuration: tls)
    }

    /// The handler that makes a connection secure; it tells `peer` what the daemon shows.
    func handler(_ peer: Peer) throws -> NIOSSLClientHandler {
        let name = address.hostIsAddress ? nil : address.host
        let expected: [UInt8]?
        switch recognition {
        case .authorities: return try NIOSSLClientHandler(context: context, serverHostname: name)
        case .pinned(let der): expected = der
        case .anyone: expected = nil
        }
        return try NIOSSLClientHandler(context: context, serverHostname: name) { certificates, verdict in
            let shown = (try? certificates.first?.toDERBytes()) ?? []
            let isKnown = expected.map { $0.isEqualInConstantTime(to: shown) } ?? true
            peer.saw(shown, isKnown: isKnown)
            verdict.succeed(isKnown ? .certificateVerified : .failed)
        }
    }

    /// The other end of one connection.
    final class Peer: Sendable {
        private let state = Mutex<(shown: [UInt8]?, isKnown: Bool)>((nil, false))

        fileprivate func saw(_ certificate: [UInt8], isKnown: Bool) {
            state.withLock { $0 = (certificate, isKnown) }
        }

        /// What it showed.
        var certificate: [UInt8]? { state.withLock { $0.shown } }
        /// What it showed instead of the certificate that it is known by.
        var stranger: [UInt8]? { state.withLock { $0.isKnown ? nil : $0.shown } }
    }
}

extension SecureAddress {
    /// Whether the host is given by its address: those are no names to ask a server for.
    fileprivate var hostIsAddress: Bool { (try? SocketAddress(ipAddress: host, port: port)) != nil }
}

extension [UInt8] {
    /// Whether two have the same bytes, in a time that does not tell where they differ.
    fileprivate func isEqualInConstantTime(to other: [UInt8]) -> Bool {
        guard count == other.count else { return false }
        return zip(self, other).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
