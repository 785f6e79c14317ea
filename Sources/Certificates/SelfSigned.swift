import Crypto
import Foundation
import Glibc
import SwiftASN1
import X509

/// Makes certificates that are signed with their own key, as LXD's are: ECDSA on P-384, good for ten years.
enum SelfSigned {
    static let lifetime: TimeInterval = 3652 * 86_400
    /// Clocks of two machines differ; a certificate that was made a moment ago has to be good on both.
    static let margin: TimeInterval = 86_400

    /// A new key and its certificate, both as PEM.
    static func make(
        _ use: Identity.Use, commonName: String, names: [String], now: Date = Date()
    ) throws -> (certificate: String, key: String) {
        let key = P384.Signing.PrivateKey()
        let subject = try DistinguishedName {
            OrganizationName("apus")
            CommonName(commonName)
        }
        let alternatives = names.compactMap(alternative)
        let extensions = try Certificate.Extensions {
            Critical(BasicConstraints.notCertificateAuthority)
            Critical(KeyUsage(digitalSignature: true))
            try ExtendedKeyUsage(use.purposes)
            if !alternatives.isEmpty { SubjectAlternativeNames(alternatives) }
        }
        let certificate = try Certificate(
            version: .v3, serialNumber: .init(), publicKey: .init(key.publicKey),
            notValidBefore: now.addingTimeInterval(-margin), notValidAfter: now.addingTimeInterval(lifetime),
            issuer: subject, subject: subject, signatureAlgorithm: .ecdsaWithSHA384, extensions: extensions,
            issuerPrivateKey: .init(key))
        return (try certificate.serializeAsPEM().pemString + "\n", key.pemRepresentation + "\n")
    }

    /// An address, or a host name; nil for what a certificate cannot carry.
    private static func alternative(_ name: String) -> GeneralName? {
        var four = in_addr()
        if inet_pton(AF_INET, name, &four) == 1 { return .ipAddress(octets(&four)) }
        var six = in6_addr()
        if inet_pton(AF_INET6, name, &six) == 1 { return .ipAddress(octets(&six)) }
        guard !name.isEmpty, name.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        return .dnsName(name)
    }

    private static func octets<Address>(_ address: inout Address) -> ASN1OctetString {
        ASN1OctetString(contentBytes: withUnsafeBytes(of: &address) { Array($0)[...] })
    }
}

extension Identity.Use {
    /// A daemon is a client as well when it fetches from another.
    fileprivate var purposes: [ExtendedKeyUsage.Usage] {
        switch self {
        case .server: [.serverAuth, .clientAuth]
        case .client: [.clientAuth]
        }
    }
}
