import Certificates
import Foundation
import Testing

@Suite struct TLSCertificateTests {
    /// Made with: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -days 1 -subj "/O=x/CN=tom@host".
    static let sample = """
        -----BEGIN CERTIFICATE-----
        MIIB0TCCAVagAwIBAgIUaYLmatlj3XauudGvqiDJESkybeEwCgYIKoZIzj0EAwIw
        HzEKMAgGA1UECgwBeDERMA8GA1UEAwwIdG9tQGhvc3QwHhcNMjYxMTI1MDM0NTU1
        WhcNMjYxMTI2MDM0NTU1WjAfMQowCAYDVQQKDAF4MREwDwYDVQQDDAh0b21AaG9z
        dDB2MBAGByqGSM49AgEGBSuBBAAiA2IABPdeDvyzdsBDxsqZGqwSrYEjT8mgMNws
        ouc+tmOrXL4y8/AKpMV2Tki+oUHYzXUFgapWKdTutiDDZi2icpSsBjoulaAMlMpi
        TlyNDUGNovvydTILEAfZhK7CO96X9neIKqNTMFEwHQYDVR0OBBYEFKoJNxyIjJjl
        QDbt1jziP8Azqt7fMB8GA1UdIwQYMBaAFKoJNxyIjJjlQDbt1jziP8Azqt7fMA8G
        A1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDaQAwZgIxAObcveE7AXR3ehIGY6CX
        ORvi8nbhVhRZu5AcUuwh6FdWAqAkti0zWJ4ndlmUmSPzWQIxAKf56rL/hfrLDcfb
        bsrikpn676sNP13I8/1fwJmEgRSbFfXazbKhIy9DowHpttLgvA==
        -----END CERTIFICATE-----
        """
    static let fingerprint = "cc500bb9cef21e967ef96c73a1539baa9c75cffb655ad60ed7e3b7c9616faa19"

    @Test func pemAndBase64AreTheSameCertificate() throws {
        let fromPEM = try TLSCertificate(text: "some text before\n" + Self.sample + "\n")
        let fromBase64 = try TLSCertificate(text: Data(fromPEM.der).base64EncodedString())
        #expect(fromPEM == fromBase64)
        #expect(fromPEM.fingerprint == Self.fingerprint)
        #expect(fromPEM.commonName == "tom@host")
        #expect(try TLSCertificate(text: fromPEM.pem) == fromPEM)
    }

    @Test func validityHasTwoEnds() throws {
        let certificate = try TLSCertificate(text: Self.sample)
        try certificate.checkValid(at: certificate.notBefore)
        try certificate.checkValid(at: certificate.notAfter)
        #expect(throws: CertificateError.self) {
            try certificate.checkValid(at: certificate.notBefore.addingTimeInterval(-1))
        }
        #expect(throws: CertificateError.self) {
            try certificate.checkValid(at: certificate.notAfter.addingTimeInterval(1))
        }
    }

    @Test(arguments: [
        "", "!!!!", "aGVsbG8=", "-----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----",
        "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----",
        String(repeating: "A", count: 100_000),
    ])
    func nonsenseIsRefused(_ text: String) {
        #expect(throws: CertificateError.self) { try TLSCertificate(text: text) }
    }

    @Test func everyTruncationIsRefused() throws {
        let whole = try TLSCertificate(text: Self.sample).der
        for length in 0..<whole.count {
            #expect(throws: CertificateError.self) { try TLSCertificate(der: Array(whole[..<length])) }
        }
        #expect(throws: CertificateError.self) { try TLSCertificate(der: whole + [0]) }
    }
}
