import ApusAPI
import ApusClient
import Certificates
import Foundation
import Glibc

/// Makes a host and this client known to each other, as `lxc remote add` does. Nothing is kept before all of it is done.
struct Joining {
    let name: String
    let password: String?
    let acceptsCertificate: Bool
    let isPublic: Bool
    /// The host's certificate, if it was given.
    let known: TLSCertificate?
    let output: Output

    /// A host that knows us now.
    struct Joined {
        let address: SecureAddress
        let kind: RemoteAdd.Kind
    }

    /// Joins by a token or an address.
    func join(_ place: String) async throws -> Joined {
        if let token = CertificateAddToken(text: place) { return try await join(token, text: place) }
        var address = try SecureAddress(url: place)
        address.pinned = try await recognise(address)
        guard !isPublic else {
            let server = try await Client(.https(address)).server()
            return Joined(address: address, kind: Self.kind(of: server))
        }
        address.identity = try Remotes.identity()
        let client = Client(.https(address))
        let server = try await client.server()
        guard server.auth != "trusted" else { return Joined(address: address, kind: Self.kind(of: server)) }
        var post = CertificatesPost()
        post.password = try trustPassword()
        try await add(post, to: client, "\(name) does not take this password, or has none set")
        return try await finish(client, address)
    }

    /// Whether a host answers as LXD does, whatever its certificate.
    static func isDaemon(_ address: SecureAddress) async throws -> Bool {
        var address = address
        address.pinned = try await address.shownCertificate(limit: .seconds(5))
        let versions: [String]? = try? await Client(.https(address)).get("/")
        return versions?.contains("/1.0") ?? false
    }

    // MARK: Steps

    private func join(_ token: CertificateAddToken, text: String) async throws -> Joined {
        guard token.expiresAt == .zero || token.expiresAt.seconds > Int64(time(nil)) else {
            throw Failure(
                "the token was good until \(token.expiresAt); have a new one made there with: "
                    + "apus config trust add \(token.clientName)")
        }
        var address = try await place(of: token)
        address.identity = try Remotes.identity()
        let client = Client(.https(address))
        // Who is trusted already gains nothing, but the token is good for somebody else then.
        if try await client.server().auth != "trusted" {
            var post = CertificatesPost()
            post.type = ""
            post.password = text.filter { !$0.isWhitespace }
            try await add(post, to: client, "the token was used, or has expired or been revoked")
        }
        return try await finish(client, address)
    }

    /// The first of a token's addresses where the daemon that made it answers.
    private func place(of token: CertificateAddToken) async throws -> SecureAddress {
        guard !token.addresses.isEmpty else {
            throw Failure(
                "the token names no address: the daemon that made it did not listen. There: "
                    + "apus config set core.https_address :8443, then make a new token")
        }
        var troubles: [String] = []
        for text in token.addresses {
            do {
                var address = try SecureAddress(url: text)
                let shown = try await address.shownCertificate(limit: .seconds(5))
                guard shown.fingerprint == token.fingerprint.lowercased() else {
                    troubles.append(
                        "at \(address.url) is somebody else: the certificate there has the fingerprint "
                            + "\(shown.fingerprint), but that of the token's daemon is \(token.fingerprint)")
                    continue
                }
                address.pinned = shown
                address.name = name
                return address
            } catch let error as ClientError {
                troubles.append(error.message)
            }
        }
        throw Failure(
            "the daemon that made the token is not to be found: " + troubles.joined(separator: "; "))
    }

    /// The certificate to know a host by from now on; nil if the system's authorities vouch for it.
    private func recognise(_ address: SecureAddress) async throws -> TLSCertificate? {
        if let known { return known }
        let shown = try await address.shownCertificate()
        if acceptsCertificate { return shown }
        if (try? await Client(.https(SecureAddress(host: address.host, port: address.port))).server()) != nil
        {
            return nil
        }
        let fingerprint = shown.fingerprint
        guard Terminal.isTerminal(STDIN_FILENO) else {
            throw Failure(
                "\(address.url) is not known yet: its certificate has the fingerprint \(fingerprint). "
                    + "Compare it with what \"apus info\" shows there, and add --accept-certificate; "
                    + "or use a token, which has the fingerprint in it")
        }
        output.print("Certificate fingerprint: \(fingerprint)")
        output.write("ok (y/n/[fingerprint])? ")
        let answer = (readLine() ?? "").lowercased().filter { !$0.isWhitespace && $0 != ":" }
        guard answer == "y" || answer == "yes" || answer == fingerprint else {
            throw Failure("the certificate of \(address.url) was not accepted; nothing was added")
        }
        return shown
    }

    private func add(_ post: CertificatesPost, to client: Client, _ refusal: String) async throws {
        do {
            try await client.addCertificate(post)
        } catch let error as ClientError where error.isForbidden {
            throw Failure("\(refusal); have a token made there with: apus config trust add NAME")
        }
    }

    private func trustPassword() throws -> String {
        if let password { return password }
        guard Terminal.isTerminal(STDIN_FILENO) else {
            throw Failure(
                "\(name) does not trust this client yet: give its --password, or use a token made there with: "
                    + "apus config trust add NAME")
        }
        return try Terminal.readSecret("Trust password for \(name): ")
    }

    private func finish(_ client: Client, _ address: SecureAddress) async throws -> Joined {
        let server = try await client.server()
        guard server.auth == "trusted" else {
            throw Failure("\(address.url) took the certificate, but does not trust it")
        }
        output.announce("Client certificate now trusted by server: \(name)")
        return Joined(address: address, kind: Self.kind(of: server))
    }

    private static func kind(of server: Server) -> RemoteAdd.Kind {
        server.environment?.server == "apus" || server.apiExtensions.contains { $0.hasPrefix("apus_") }
            ? .apus : .lxd
    }
}
