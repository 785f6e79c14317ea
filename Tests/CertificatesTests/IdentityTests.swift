import Certificates
import Foundation
import Testing

@Suite struct IdentityTests {
    @Test func anIdentityIsMadeOnceAndKept() throws {
        try withDirectory { directory in
            #expect(try Identity.load(.server, in: directory) == nil)
            let first = try Identity.loadOrMake(
                .server, in: directory, names: { ["host", "10.0.0.1", "::1"] })
            let second = try Identity.loadOrMake(
                .server, in: directory,
                names: {
                    Issue.record("made a second time")
                    return []
                })
            #expect(first.certificate == second.certificate)
            #expect(first.privateKeyPEM == second.privateKeyPEM)
            for file in ["server.crt", "server.key"] {
                let attributes = try FileManager.default.attributesOfItem(atPath: "\(directory)/\(file)")
                #expect(attributes[.posixPermissions] as? Int == 0o600)
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory).count == 2)
        }
    }

    @Test func aNewIdentityIsGoodForTenYears() throws {
        let certificate = try Identity.make(.client, commonName: "tom@host").certificate
        try certificate.checkValid()
        try certificate.checkValid(at: Date().addingTimeInterval(3650 * 86_400))
        #expect(certificate.commonName == "tom@host")
    }

    @Test func serverAndClientAreApart() throws {
        try withDirectory { directory in
            let server = try Identity.loadOrMake(.server, in: directory)
            let client = try Identity.loadOrMake(.client, in: directory)
            #expect(server.certificate.fingerprint != client.certificate.fingerprint)
        }
    }

    @Test func aKeyWithoutCertificateIsMadeAnew() throws {
        try withDirectory { directory in
            let first = try Identity.loadOrMake(.client, in: directory)
            try FileManager.default.removeItem(atPath: directory + "/client.crt")
            #expect(
                try Identity.loadOrMake(.client, in: directory).certificate.fingerprint
                    != first.certificate.fingerprint)
        }
    }

    @Test func filesThatDoNotBelongTogetherAreRefused() throws {
        try withDirectory { directory in
            _ = try Identity.loadOrMake(.client, in: directory)
            let other = try Identity.make(.client)
            try Data(other.privateKeyPEM.utf8).write(to: URL(filePath: directory + "/client.key"))
            #expect(throws: CertificateError.self) { try Identity.load(.client, in: directory) }
            try FileManager.default.removeItem(atPath: directory + "/client.key")
            #expect(throws: CertificateError.self) { try Identity.loadOrMake(.client, in: directory) }
        }
    }

    @Test func theKeyIsNotInWhatIsPrinted() throws {
        let identity = try Identity.make(.client)
        let secret = try #require(identity.privateKeyPEM.split(separator: "\n").dropFirst().first)
        var dumped = ""
        dump(identity, to: &dumped)
        for text in ["\(identity)", String(reflecting: identity), dumped] {
            #expect(!text.contains(secret))
        }
    }

    @Test func manyAtOnceAgree() async throws {
        try await withDirectory { directory in
            let fingerprints = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<8 {
                    group.addTask { try Identity.loadOrMake(.client, in: directory).certificate.fingerprint }
                }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(fingerprints.count == 1)
        }
    }

    private func withDirectory(_ body: (String) throws -> Void) throws {
        let directory = NSTemporaryDirectory() + "apus-identity-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try body(directory)
    }

    private func withDirectory(_ body: (String) async throws -> Void) async throws {
        let directory = NSTemporaryDirectory() + "apus-identity-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try await body(directory)
    }
}
