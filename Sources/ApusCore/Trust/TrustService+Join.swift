public import ApusAPI
public import Certificates
import Logging
import Synchronization

/// How a client becomes trusted that is not yet: by a token, or by the trust password.
extension TrustService {
    /// Adds a client that proves itself by the password in its request.
    /// - Parameters:
    ///   - certificate: what the request came with.
    ///   - address: where it came from.
    /// - Returns: the fingerprint that is trusted from now on.
    public func join(
        _ post: CertificatesPost, with certificate: TLSCertificate?, from address: String
    ) async throws -> String {
        guard !post.token, !post.password.isEmpty else { throw ServiceError.notAuthorized }
        try check(post)
        let wanted = try wanted(post, certificate)
        if let token = CertificateAddToken(text: post.password) {
            return try join(wanted, by: token.secret, address)
        }
        try await checkPassword(post.password, from: address)
        return try insert(wanted, name: post.name)
    }

    /// A token's client has the name that was given with the token.
    private func join(_ certificate: TLSCertificate, by secret: String, _ address: String) throws -> String {
        guard case .join? = tokens.door(of: secret) else {
            context.logger.warning(
                "refused: a token that is unknown, used or expired", metadata: ["address": "\(address)"])
            throw ServiceError.notAuthorized
        }
        // A token is not used up by a client that needs none.
        guard !isTrusted(certificate) else {
            throw ServiceError.conflict(
                "The certificate \(certificate.shortFingerprint) is in the trust store already")
        }
        guard case .join(let name)? = tokens.use(secret) else { throw ServiceError.notAuthorized }
        return try insert(certificate, name: name)
    }

    private func checkPassword(_ password: String, from address: String) async throws {
        guard let kept = context.config.trustPasswordHash else { throw ServiceError.notAuthorized }
        if let wait = guesses.withLock({ $0.take(PeerAddress.group(of: address)) }) {
            context.logger.warning("refused: too many passwords", metadata: ["address": "\(address)"])
            throw ServiceError(
                .tooManyRequests,
                "Too many passwords were tried; the next try is possible in \(wait.components.seconds + 1) s")
        }
        guard try await PasswordHash.matches(password, kept) else {
            context.logger.warning("refused: a wrong trust password", metadata: ["address": "\(address)"])
            throw ServiceError.notAuthorized
        }
    }

    /// Makes a token that lets one client add itself.
    func issueToken(_ post: CertificatesPost) throws -> ApusAPI.Operation {
        guard !post.name.isEmpty else {
            throw ServiceError.badRequest("A token needs the name that its client will have")
        }
        guard let address = ListenAddress(context.config["core.https_address"]) else {
            throw ServiceError.badRequest(
                "The daemon does not listen on the network, so a token would lead nowhere. "
                    + "First: apus config set core.https_address :8443")
        }
        let lifetime = ConfigValues.timeSpan(context.config["core.remote_token_expiry"]) ?? .seconds(86_400)
        let expiry = Timestamp(seconds: Timestamp.now().seconds + lifetime.components.seconds)
        return tokens.issue(
            .join(name: post.name), "Waiting for a client to join",
            metadata: [
                "request": .object([
                    "name": .string(post.name), "type": "client", "restricted": false, "projects": [],
                    "token": true,
                ]),
                "fingerprint": .string(identity.certificate.fingerprint),
                "addresses": .array(address.reachable().map { .string($0) }),
                "expiresAt": .string(expiry.description),
            ], lifetime: lifetime)
    }
}
