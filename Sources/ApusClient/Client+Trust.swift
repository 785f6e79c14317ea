public import ApusAPI
import NIOHTTP1

extension Client {
    /// All clients that the daemon trusts.
    public func certificates() async throws -> [Certificate] {
        try await get("/1.0/certificates", query: [("recursion", "1")])
    }

    /// A client that the daemon trusts, by the beginning of its fingerprint, with the ETag that an edit has to send back.
    public func certificate(_ fingerprint: String) async throws -> (value: Certificate, etag: String?) {
        try await getTagged("/1.0/certificates/\(fingerprint.percentEncoded)")
    }

    /// Has the daemon trust a certificate.
    public func addCertificate(_ post: CertificatesPost) async throws {
        try await send(.POST, "/1.0/certificates", post)
    }

    /// Has the daemon make a token with which a client can add itself.
    public func issueToken(name: String) async throws -> CertificateAddToken {
        var post = CertificatesPost()
        post.name = name
        post.token = true
        guard
            let token = CertificateAddToken(
                operation: try await begin(.POST, "/1.0/certificates", post))
        else { throw ClientError(.broken, "apusd answered without a token") }
        return token
    }

    /// Changes what people call a trusted client.
    public func updateCertificate(
        _ fingerprint: String, _ put: CertificatePut, etag: String? = nil
    ) async throws {
        try await send(.PUT, "/1.0/certificates/\(fingerprint.percentEncoded)", put, etag: etag)
    }

    /// Has the daemon trust a client no longer.
    public func deleteCertificate(_ fingerprint: String) async throws {
        try await send(.DELETE, "/1.0/certificates/\(fingerprint.percentEncoded)")
    }
}

extension Client {
    /// Tokens that are good now, with the operations that hold them.
    public func joinTokens() async throws -> [(operation: String, token: CertificateAddToken)] {
        try await operations().filter { !$0.state.isFinal }.compactMap { operation in
            CertificateAddToken(operation: operation).map { (operation.id, $0) }
        }
    }
}
