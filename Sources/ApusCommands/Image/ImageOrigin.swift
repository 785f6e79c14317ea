import ApusAPI
import ApusClient

extension ImageName {
    /// Where a new container's files come from, once it is known whether the image is here.
    func instanceSource(_ client: Client) async throws -> InstanceSource {
        switch self {
        case .debian(let release): return .debian(release)
        case .server(let remote, let name):
            let server = try Remotes.load().imageServer(remote)
            var source = InstanceSource()
            source.type = "image"
            source.mode = "pull"
            source.protocol = server.protocol
            source.server = server.addr
            source.certificate = Remotes.certificate(remote)
            source.alias = name
            return source
        case .local(let name):
            do {
                return .localImage(try await client.image(named: name).fingerprint)
            } catch let error as ClientError where error.isNotFound {
                throw Failure(
                    "there is no image \"\(name)\" here; see: apus image list (or let apusd build one: debian:12)"
                )
            }
        }
    }

    /// The image as its list shows it: the daemon's, or an image server's.
    func find(_ client: Client) async throws -> Image {
        switch self {
        case .local(let name): return try await client.image(named: name)
        case .debian:
            throw Failure("images of \"debian:\" are there once they are built; see: apus image list")
        case .server(let remote, let name):
            let images = try await Self.images(of: remote, client)
            if let image = images.first(where: { $0.aliases.contains { $0.name == name } }) { return image }
            guard let image = images.first(where: { $0.fingerprint.hasPrefix(name) && name.count >= 8 })
            else {
                throw Failure(
                    "\(remote): has no image \"\(name)\" for this machine; see: apus image list \(remote):")
            }
            return image
        }
    }

    /// The images that a remote offers.
    static func images(of remote: String, _ client: Client) async throws -> [Image] {
        let server = try Remotes.load().imageServer(remote)
        return try await client.remoteImages(of: server.addr, certificate: Remotes.certificate(remote))
    }
}
