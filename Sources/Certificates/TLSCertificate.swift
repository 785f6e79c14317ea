import Crypto
public import Foundation
import SwiftASN1
import X509

/// A certificate as it goes over the wire. Trust is in the SHA-256 of its bytes, not in who signed it.
public struct TLSCertificate: Sendable, Hashable, CustomStringConvertible {
    /// The longest certificate that is taken.
    public static let maxSize = 32 << 10

    /// Its bytes.
    public let der: [UInt8]
    /// SHA-256 of its bytes, as 64 lower-case hex digits.
    public let fingerprint: String
    /// The common name of its subject; empty if it has none.
    public let commonName: String
    /// When it begins to be good.
    public let notBefore: Date
    /// When it ends to be good.
    public let notAfter: Date

    /// A certificate from its DER.
    /// - Throws: `unreadable`.
    public init(der: [UInt8]) throws {
        guard der.count <= Self.maxSize else {
            throw CertificateError(.unreadable, "the certificate is longer than \(Self.maxSize) bytes")
        }
        let certificate: Certificate
        do {
            certificate = try Certificate(derEncoded: der)
        } catch {
            throw CertificateError(.unreadable, "this is not an X.509 certificate: \(error)")
        }
        self.der = der
        fingerprint = SHA256.hash(data: der).map { byte in
            let digits = String(byte, radix: 16)
            return digits.utf8.count == 1 ? "0" + digits : digits
        }.joined()
        commonName = certificate.subject.commonName
        notBefore = certificate.notValidBefore
        notAfter = certificate.notValidAfter
    }

    /// A certificate from what people and LXD's clients send: PEM (the first certificate in it), or base64 of the DER.
    /// - Throws: `unreadable`.
    public init(text: String) throws {
        guard text.utf8.count <= 2 * Self.maxSize else {
            throw CertificateError(.unreadable, "the certificate is longer than \(Self.maxSize) bytes")
        }
        if text.contains("-----BEGIN") {
            guard
                let documents = try? PEMDocument.parseMultiple(pemString: text),
                let document = documents.first(where: { $0.discriminator == Self.pemType })
            else {
                throw CertificateError(
                    .unreadable,
                    "there is no certificate in this PEM; it begins with -----BEGIN CERTIFICATE-----"
                )
            }
            try self.init(der: document.derBytes)
            return
        }
        guard let data = Data(base64Encoded: text, options: .ignoreUnknownCharacters), !data.isEmpty else {
            throw CertificateError(.unreadable, "a certificate is PEM, or base64 of its DER")
        }
        try self.init(der: Array(data))
    }

    /// Its PEM, with a newline at the end.
    public var pem: String { PEMDocument(type: Self.pemType, derBytes: der).pemString + "\n" }

    /// The first twelve digits of the fingerprint: enough for people to tell certificates apart.
    public var shortFingerprint: String { String(fingerprint.prefix(12)) }

    /// "CN (first digits of the fingerprint)".
    public var description: String { "\(commonName) (\(shortFingerprint))" }

    /// Refuses a certificate whose time has passed, or has not come.
    public func checkValid(at time: Date = Date()) throws {
        guard time >= notBefore else {
            throw CertificateError(
                .expired,
                "the certificate \(shortFingerprint) is not good before \(notBefore.ISO8601Format()); are the clocks right?"
            )
        }
        guard time <= notAfter else {
            throw CertificateError(
                .expired, "the certificate \(shortFingerprint) expired on \(notAfter.ISO8601Format())")
        }
    }

    private static let pemType = "CERTIFICATE"
}

extension DistinguishedName {
    /// The text of its first common name.
    fileprivate var commonName: String {
        for name in self {
            for attribute in name where attribute.type == .RDNAttributeType.commonName {
                return "\(attribute.value)"
            }
        }
        return ""
    }
}
