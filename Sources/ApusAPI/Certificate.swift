import Foundation

/// A client that is trusted.
public struct Certificate: Codable, Sendable, Equatable {
    /// What people call it.
    @Defaulted public var name: String
    /// "client".
    @Defaulted public var type: String
    /// Always false: whoever is trusted may do everything.
    @Defaulted public var restricted: Bool
    /// Always empty.
    @Defaulted public var projects: [String]
    /// The certificate as PEM.
    @Defaulted public var certificate: String
    /// SHA-256 of its DER, in hex digits.
    @Defaulted public var fingerprint: String

    /// An empty certificate.
    public init() { type = "client" }
}

/// What `POST /1.0/certificates` takes.
public struct CertificatesPost: Codable, Sendable, Equatable {
    /// What people call it.
    @Defaulted public var name: String
    /// "client", or empty.
    @Defaulted public var type: String
    /// Must be false: there are no projects to restrict a client to.
    @Defaulted public var restricted: Bool
    /// Must be empty.
    @Defaulted public var projects: [String]
    /// The certificate as PEM or base64 of its DER; empty for the one that the request came with.
    @Defaulted public var certificate: String
    /// The trust password or a token, from a client that is not trusted yet.
    @Defaulted public var password: String
    /// Whether to make a token that a client can add itself with.
    @Defaulted public var token: Bool

    /// An empty request.
    public init() { type = "client" }
}

/// What `PUT /1.0/certificates/<fingerprint>` takes.
public struct CertificatePut: Codable, Sendable, Equatable {
    /// What people call it.
    @Defaulted public var name: String
    /// "client".
    @Defaulted public var type: String
    /// Must be false.
    @Defaulted public var restricted: Bool
    /// Must be empty.
    @Defaulted public var projects: [String]
    /// The certificate as it is; it cannot be changed.
    @Defaulted public var certificate: String

    /// The editable part of a certificate.
    public init(_ certificate: Certificate) {
        name = certificate.name
        type = certificate.type
        restricted = certificate.restricted
        projects = certificate.projects
        self.certificate = certificate.certificate
    }
}

/// What `PATCH /1.0/certificates/<fingerprint>` takes; what is not given stays as it is.
public struct CertificatePatch: Codable, Sendable, Equatable {
    /// What people call it.
    public var name: String?
    /// "client".
    public var type: String?
    /// Must be false.
    public var restricted: Bool?
    /// Must be empty.
    public var projects: [String]?
    /// The certificate as it is; it cannot be changed.
    public var certificate: String?

    /// Nothing changed.
    public init() {}
}

/// What a client needs to add itself to a daemon: the text of it, base64 of JSON, is what people carry over.
public struct CertificateAddToken: Codable, Sendable, Equatable {
    /// The name that the client will have.
    @Defaulted public var clientName: String
    /// SHA-256 of the daemon's certificate.
    @Defaulted public var fingerprint: String
    /// Where the daemon listens, each "host:port".
    @Defaulted public var addresses: [String]
    /// What opens the door, once.
    @Defaulted public var secret: String
    /// When it ends to be good; zero for never.
    @Defaulted public var expiresAt: Timestamp

    enum CodingKeys: String, CodingKey {
        case fingerprint, addresses, secret
        case clientName = "client_name"
        case expiresAt = "expires_at"
    }

    /// A token.
    public init(
        clientName: String, fingerprint: String, addresses: [String], secret: String, expiresAt: Timestamp
    ) {
        self.clientName = clientName
        self.fingerprint = fingerprint
        self.addresses = addresses
        self.secret = secret
        self.expiresAt = expiresAt
    }

    /// A token from its text; nil if this is none.
    public init?(text: String) {
        guard text.utf8.count <= 16_384, let data = Data(base64Encoded: text.filter { !$0.isWhitespace }),
            let token = try? APIJSON.decode(CertificateAddToken.self, from: data),
            !token.secret.isEmpty, !token.fingerprint.isEmpty
        else { return nil }
        self = token
    }

    /// A token from the operation that `POST /1.0/certificates` with `token` answers; nil if it is another.
    public init?(operation: Operation) {
        guard operation.class == "token", let metadata = operation.metadata,
            let secret = metadata["secret"]?.stringValue,
            let fingerprint = metadata["fingerprint"]?.stringValue
        else { return nil }
        self.init(
            clientName: metadata["request"]?["name"]?.stringValue ?? "", fingerprint: fingerprint,
            addresses: (metadata["addresses"]?.arrayValue ?? []).compactMap(\.stringValue), secret: secret,
            expiresAt: metadata["expiresAt"]?.stringValue.flatMap { Timestamp($0) } ?? .zero)
    }

    /// The text that people carry over.
    public func text() throws -> String {
        let encoder = JSONEncoder()
        // The same text each time: users compare them.
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(self).base64EncodedString()
    }
}
