public import ApusAPI
public import Certificates
import Foundation
import Logging
import Synchronization

/// Who may do everything here: the clients whose certificates are known, and how one becomes known.
public final class TrustService: Sendable {
    /// What a request to add a client led to.
    public enum Addition: Sendable {
        /// It is trusted from now on; its fingerprint.
        case certificate(String)
        /// A token was made with which it can add itself.
        case token(ApusAPI.Operation)
    }

    private struct Client {
        var record: CertificateRecord
        let certificate: TLSCertificate
    }

    /// The daemon's own certificate and key.
    public let identity: Identity

    let context: ServiceContext
    let tokens: TokenService
    let guesses = Mutex(GuessLimit())
    private let clients = Mutex<[String: Client]>([:])
    private let watchers = Mutex<[@Sendable (String) -> Void]>([])

    init(context: ServiceContext, tokens: TokenService) throws {
        self.context = context
        self.tokens = tokens
        identity = try Identity.loadOrMake(.server, in: context.directory.path) {
            [Machine.names.host, "localhost"] + InterfaceAddresses.all().map(\.text)
        }
        for record in try context.store.certificates() {
            let certificate = try TLSCertificate(text: record.certificate)
            clients.withLock {
                $0[certificate.fingerprint] = Client(record: record, certificate: certificate)
            }
        }
    }

    // MARK: Reading

    /// Whether whoever holds this certificate's key is trusted now.
    public func isTrusted(_ certificate: TLSCertificate) -> Bool {
        guard let known = clients.withLock({ $0[certificate.fingerprint]?.certificate }) else { return false }
        return known == certificate && (try? certificate.checkValid()) != nil
    }

    /// All trusted clients, in the order they were added.
    public func list() -> [ApusAPI.Certificate] {
        clients.withLock { Array($0.values) }.sorted { $0.record.createdAt < $1.record.createdAt }
            .map { Self.shown($0.record) }
    }

    /// A trusted client, by its fingerprint or an unambiguous beginning of it.
    public func get(_ fingerprint: String) throws -> ApusAPI.Certificate {
        Self.shown(try find(fingerprint).record)
    }

    /// The tag of a trusted client.
    public func etag(_ fingerprint: String) throws -> String { try ETag.of(try get(fingerprint)) }

    // MARK: Changing

    /// Adds a client, or makes a token for one. For requests of those who are trusted.
    /// - Parameter certificate: what the request itself came with.
    public func add(_ post: CertificatesPost, by certificate: TLSCertificate?) throws -> Addition {
        try check(post)
        guard post.token else {
            return .certificate(
                try insert(try wanted(post, certificate), name: post.name))
        }
        return .token(try issueToken(post))
    }

    /// Refuses what would be something else than full trust of a client.
    func check(_ post: CertificatesPost) throws {
        guard ["", "client"].contains(post.type) else {
            throw ServiceError.badRequest("Unknown type of certificate \"\(post.type)\"; there is \"client\"")
        }
        try Self.checkUnrestricted(post.restricted, post.projects)
        try Self.checkName(post.name)
    }

    /// The certificate that a request wants trusted: the one in it, or the one it came with.
    func wanted(_ post: CertificatesPost, _ own: TLSCertificate?) throws -> TLSCertificate {
        let certificate: TLSCertificate
        if post.certificate.isEmpty {
            guard let own else {
                throw ServiceError.badRequest(
                    "No client certificate was given: put one into the request, or connect with one")
            }
            certificate = own
        } else {
            do {
                certificate = try TLSCertificate(text: post.certificate)
            } catch {
                throw ServiceError.badRequest("Invalid certificate: \(error)")
            }
        }
        do { try certificate.checkValid() } catch { throw ServiceError.badRequest("\(error)") }
        guard certificate.fingerprint != identity.certificate.fingerprint else {
            throw ServiceError.badRequest("This is the daemon's own certificate, not a client's")
        }
        return certificate
    }

    /// Trusts a certificate from now on.
    func insert(_ certificate: TLSCertificate, name: String) throws -> String {
        var record = CertificateRecord()
        record.fingerprint = certificate.fingerprint
        record.name = name.isEmpty ? Self.name(from: certificate) : name
        record.certificate = certificate.pem
        record.createdAt = .now()
        try clients.withLock { clients in
            guard clients[certificate.fingerprint] == nil else {
                throw ServiceError.conflict(
                    "The certificate \(certificate.shortFingerprint) is in the trust store already")
            }
            try context.store.insert(record)
            clients[certificate.fingerprint] = Client(record: record, certificate: certificate)
        }
        context.logger.info(
            "client trusted",
            metadata: ["name": "\(record.name)", "fingerprint": "\(record.fingerprint)"])
        tell("certificate-created", record.fingerprint)
        return record.fingerprint
    }

    /// Changes what people call a client.
    public func update(_ fingerprint: String, _ put: CertificatePut, ifMatch: String?) throws {
        try Self.checkUnrestricted(put.restricted, put.projects)
        try Self.checkName(put.name)
        guard ["", "client"].contains(put.type) else {
            throw ServiceError.badRequest("Unknown type of certificate \"\(put.type)\"; there is \"client\"")
        }
        let found = try find(fingerprint)
        if !put.certificate.isEmpty, (try? TLSCertificate(text: put.certificate)) != found.certificate {
            throw ServiceError.badRequest(
                "The certificate of a client cannot be exchanged: add the new one, then remove this one")
        }
        let key = found.record.fingerprint
        try clients.withLock { clients in
            guard var client = clients[key] else { throw Self.unknown }
            try ETag.check(ifMatch, against: try ETag.of(Self.shown(client.record)))
            client.record.name = put.name.isEmpty ? Self.name(from: client.certificate) : put.name
            try context.store.renameCertificate(key, to: client.record.name)
            clients[key] = client
        }
        tell("certificate-updated", key)
    }

    /// Changes some of what people call a client.
    public func patch(_ fingerprint: String, _ patch: CertificatePatch, ifMatch: String?) throws {
        let present = try get(fingerprint)
        try ETag.check(ifMatch, against: try ETag.of(present))
        var put = CertificatePut(present)
        put.name = patch.name ?? put.name
        put.type = patch.type ?? put.type
        put.restricted = patch.restricted ?? put.restricted
        put.projects = patch.projects ?? put.projects
        put.certificate = patch.certificate ?? put.certificate
        try update(present.fingerprint, put, ifMatch: ifMatch)
    }

    /// Trusts a client no longer: its connections are closed before this returns.
    public func remove(_ fingerprint: String) throws {
        let key = try find(fingerprint).record.fingerprint
        try clients.withLock { clients in
            guard clients[key] != nil else { throw Self.unknown }
            try context.store.deleteCertificate(key)
            clients[key] = nil
        }
        for watcher in watchers.withLock({ $0 }) { watcher(key) }
        context.logger.info("client no longer trusted", metadata: ["fingerprint": "\(key)"])
        tell("certificate-deleted", key)
    }

    /// Calls `body` with the fingerprint of each client that is trusted no longer, before `remove` returns.
    public func onRemoval(_ body: @escaping @Sendable (String) -> Void) {
        watchers.withLock { $0.append(body) }
    }

    private func find(_ fingerprint: String) throws -> Client {
        let prefix = fingerprint.lowercased()
        guard !prefix.isEmpty else { throw Self.unknown }
        return try clients.withLock { clients in
            if let exact = clients[prefix] { return exact }
            let matches = clients.filter { $0.key.hasPrefix(prefix) }
            guard matches.count <= 1 else {
                throw ServiceError.badRequest(
                    "More than one certificate begins with \"\(prefix)\"; give more of it")
            }
            guard let only = matches.first?.value else { throw Self.unknown }
            return only
        }
    }

    private func tell(_ action: String, _ fingerprint: String) {
        context.events.lifecycle(action, "/1.0/certificates/\(fingerprint)")
    }

    private static var unknown: ServiceError { .notFound("Certificate not found") }

    private static func shown(_ record: CertificateRecord) -> ApusAPI.Certificate {
        var certificate = ApusAPI.Certificate()
        certificate.name = record.name
        certificate.type = record.type
        certificate.certificate = record.certificate
        certificate.fingerprint = record.fingerprint
        return certificate
    }

    private static func name(from certificate: TLSCertificate) -> String {
        let name = certificate.commonName.filter { !$0.isNewline }
        return name.isEmpty ? certificate.shortFingerprint : String(name.prefix(maxName))
    }

    private static let maxName = 100

    private static func checkName(_ name: String) throws {
        guard name.count <= maxName,
            !name.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 })
        else {
            throw ServiceError.badRequest(
                "The name of a client is at most \(maxName) characters, none of them a control character")
        }
    }

    private static func checkUnrestricted(_ restricted: Bool, _ projects: [String]) throws {
        guard !restricted, projects.isEmpty else {
            throw ServiceError.badRequest(
                "A client cannot be restricted to projects: whoever is trusted may do everything")
        }
    }
}
