import Certificates
import NIOCore
import NIOSSL

/// How the daemon speaks TLS.
enum ServerTLS {
    /// TLS 1.3 and nothing else, with the daemon's own certificate. Clients are asked for theirs and may have none.
    static func context(_ identity: Identity) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: [
                .certificate(try NIOSSLCertificate(bytes: identity.certificate.der, format: .der))
            ],
            privateKey: .privateKey(
                try NIOSSLPrivateKey(bytes: Array(identity.privateKeyPEM.utf8), format: .pem)))
        configuration.minimumTLSVersion = .tlsv13
        configuration.maximumTLSVersion = .tlsv13
        configuration.certificateVerification = .optionalVerification
        // Who signed a certificate is of no interest: whether its holder is trusted is asked for each request.
        configuration.trustRoots = .certificates([])
        configuration.applicationProtocols = ["http/1.1"]
        return try NIOSSLContext(configuration: configuration)
    }

    /// The TLS of one connection. TLS itself makes sure that the client holds the key of the certificate it shows.
    static func handler(_ context: NIOSSLContext) -> NIOSSLServerHandler {
        NIOSSLServerHandler(
            context: context,
            customVerificationCallback: { _, promise in promise.succeed(.certificateVerified) },
            configuration: .init())
    }
}
