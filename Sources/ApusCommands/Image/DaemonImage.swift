import ApusAPI
import ApusClient
import Certificates

/// An image in the store of one daemon that another daemon is to fetch from there.
enum DaemonImage {
    /// What the daemon that wants the image has to know: where it is, by which certificate it is known, and a secret that
    /// lets whoever has it fetch this one image.
    static func source(of name: String, from remote: String) async throws -> InstanceSource {
        let client = try Remotes.client(of: remote)
        let image: Image
        do {
            image = try await client.image(named: name)
        } catch let error as ClientError where error.isNotFound {
            throw Failure("\(remote): has no image \"\(name)\"; see: apus image list \(remote):")
        }
        var source = InstanceSource()
        source.type = "image"
        source.mode = "pull"
        source.protocol = "lxd"
        source.fingerprint = image.fingerprint
        let server = try await client.server()
        source.server = try address(of: client, server, remote)
        source.certificate = server.environment?.certificate ?? ""
        if source.certificate.isEmpty { source.certificate = Remotes.certificate(remote) }
        if image.public {
            // By its name a newer one is found later; a fingerprint is always the same image.
            if image.aliases.contains(where: { $0.name == name }) { source.alias = name }
        } else {
            let operation = try await client.createImageSecret(image.fingerprint)
            guard let secret = operation.metadata?["secret"]?.stringValue else {
                throw Failure("\(remote) gave no secret for its image \(image.fingerprint.prefix(12))")
            }
            source.secret = secret
        }
        return source
    }

    /// Where others reach a daemon.
    private static func address(of client: Client, _ server: Server, _ remote: String) throws -> String {
        if case .https(let address) = client.endpoint { return address.url }
        guard let address = server.environment?.addresses.first else {
            throw Failure(
                "the daemon of \(remote): cannot be reached by others, so they cannot fetch its images. "
                    + "Let it listen with: apus config set core.https_address :8443")
        }
        return "https://\(address)"
    }
}
