import ApusAPI
import ApusClient

extension ImageName {
    /// Where a new container's files come from, once it is known whether the image is in the store of the session's daemon.
    func instanceSource(_ session: Session) async throws -> InstanceSource {
        switch self {
        case .debian(let release): return .debian(release)
        case .server(let remote, let name):
            guard try Remotes.load().find(remote).isDaemon else {
                return try Self.imageServerSource(remote, name)
            }
            return try await DaemonImage.source(of: name, from: remote)
        case .local(let name):
            do {
                return .localImage(try await session.client.image(named: name).fingerprint)
            } catch let error as ClientError where error.isNotFound {
                let place = session.remote == ResourceName.localRemote ? "here" : "on \(session.remote)"
                throw Failure(
                    "there is no image \"\(name)\" \(place); see: apus image list \(session.qualified("")) "
                        + "(or let apusd build one: debian:12)")
            }
        }
    }

    private static func imageServerSource(_ remote: String, _ name: String) throws -> InstanceSource {
        let server = try Remotes.load().imageServer(remote)
        var source = InstanceSource()
        source.type = "image"
        source.mode = "pull"
        source.protocol = server.protocol
        source.server = server.addr
        source.certificate = Remotes.certificate(remote)
        source.alias = name
        return source
    }

    /// The image as its list shows it: the daemon's, an image server's, or another daemon's.
    func find(_ client: Client) async throws -> Image {
        switch self {
        case .local(let name): return try await client.image(named: name)
        case .debian:
            throw Failure("images of \"debian:\" are there once they are built; see: apus image list")
        case .server(let remote, let name):
            if try Remotes.load().find(remote).isDaemon {
                return try await Remotes.client(of: remote).image(named: name)
            }
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

    /// The images that a server of images offers.
    static func images(of remote: String, _ client: Client) async throws -> [Image] {
        let server = try Remotes.load().imageServer(remote)
        return try await client.remoteImages(of: server.addr, certificate: Remotes.certificate(remote))
    }
}
