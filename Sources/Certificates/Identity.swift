import Crypto
import Glibc
import LinuxSystem
import SwiftASN1
import X509

/// A certificate and its private key: what a daemon or a client shows to prove that it is the one it was before.
public struct Identity: Sendable, CustomStringConvertible {
    /// What an identity is for; also the name of its files, `server.crt` and `server.key`.
    public enum Use: String, Sendable {
        /// A daemon's.
        case server
        /// A client's.
        case client
    }

    /// The certificate, which everybody may see.
    public let certificate: TLSCertificate
    /// The private key as PEM. Not for logs, errors or anyone else.
    public let privateKeyPEM: String

    /// An identity from its PEMs.
    /// - Throws: `unreadable`, or `broken` if the key is not that of the certificate.
    public init(certificatePEM: String, privateKeyPEM: String) throws {
        certificate = try TLSCertificate(text: certificatePEM)
        self.privateKeyPEM = privateKeyPEM
        let key: Certificate.PrivateKey
        do {
            key = try Certificate.PrivateKey(pemEncoded: privateKeyPEM)
        } catch {
            // The library's words could quote the key.
            throw CertificateError(
                .unreadable, "the private key cannot be read; it has to be PEM without a password")
        }
        guard key.publicKey == (try Certificate(derEncoded: certificate.der)).publicKey else {
            throw CertificateError(.broken, "the private key is not that of the certificate \(certificate)")
        }
    }

    /// A new identity, in memory only.
    /// - Parameters:
    ///   - commonName: what people see in lists: "apus", or user@host.
    ///   - names: host names and addresses under which a server is reached.
    public static func make(_ use: Use, commonName: String = "apus", names: [String] = []) throws -> Identity
    {
        let (certificate, key) = try SelfSigned.make(use, commonName: commonName, names: names)
        return try Identity(certificatePEM: certificate, privateKeyPEM: key)
    }

    /// The identity that lies in a directory; nil if there is none yet.
    /// - Throws: `broken` or `unreadable`, in words that name the file.
    public static func load(_ use: Use, in directory: String) throws -> Identity? {
        let files = IdentityFiles(use, directory)
        guard Files.exists(files.certificate) else { return nil }
        guard Files.exists(files.key) else {
            throw CertificateError(
                .broken,
                "\(files.certificate) is there, but its key \(files.key) is missing. Put the key back; or remove the "
                    + "certificate to have a new identity made, which others then have to trust anew")
        }
        do {
            return try Identity(
                certificatePEM: try Files.text(files.certificate, limit: IdentityFiles.maxSize),
                privateKeyPEM: try Files.text(files.key, limit: IdentityFiles.maxSize))
        } catch let error as CertificateError {
            throw CertificateError(error.code, "\(files.certificate): \(error.message)")
        }
    }

    /// The identity that lies in a directory; made now if there is none. Safe with several processes at once.
    /// - Parameters:
    ///   - commonName: what people see in lists: "apus", or user@host.
    ///   - names: host names and addresses under which a server is reached; asked for only when it is made.
    public static func loadOrMake(
        _ use: Use, in directory: String, commonName: String = "apus", names: () -> [String] = { [] }
    ) throws -> Identity {
        if let known = try load(use, in: directory) { return known }
        try Files.makeDirectories(directory, mode: 0o700)
        // Of two processes that both want the first identity, the second has to take that of the first.
        let lock = try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY)
        try check("flock", "lock \(directory)") { flock(lock.rawValue, LOCK_EX) }
        if let known = try load(use, in: directory) { return known }
        let made = try make(use, commonName: commonName, names: names())
        let files = IdentityFiles(use, directory)
        // The certificate comes last: a key alone is what a crash left, and nobody has seen its certificate.
        try Files.replace(files.key, Array(made.privateKeyPEM.utf8), mode: 0o600)
        try Files.replace(files.certificate, Array(made.certificate.pem.utf8), mode: 0o600)
        return made
    }

    /// The certificate; never the key.
    public var description: String { "identity \(certificate)" }
}

extension Identity: CustomReflectable {
    /// The certificate; never the key.
    public var customMirror: Mirror { Mirror(self, children: ["certificate": certificate]) }
}

/// Where the two files of an identity lie.
private struct IdentityFiles {
    static let maxSize = 64 << 10

    let certificate: String
    let key: String

    init(_ use: Identity.Use, _ directory: String) {
        certificate = "\(directory)/\(use.rawValue).crt"
        key = "\(directory)/\(use.rawValue).key"
    }
}
