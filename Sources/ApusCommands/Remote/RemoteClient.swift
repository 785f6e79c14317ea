package import ApusClient
import Certificates

extension Remotes {
    /// A client of a remote's daemon. Nothing is connected yet.
    package static func client(of name: String) throws -> Client {
        if name == ResourceName.localRemote { return Client() }
        let remote = try load().find(name)
        guard remote.isDaemon else {
            throw Failure("\"\(name)\" has images but no containers; name a host. See: apus remote list")
        }
        if remote.addr.hasPrefix("unix:") {
            let path = String(remote.addr.dropFirst("unix:".count).drop { $0 == "/" })
            return path.isEmpty ? Client() : Client(.unixSocket(path: "/" + path))
        }
        let pem = certificate(name)
        do {
            var address = try SecureAddress(
                url: remote.addr, pinned: pem.isEmpty ? nil : try TLSCertificate(text: pem),
                identity: remote.public ? nil : try identity())
            address.name = name
            return Client(.https(address))
        } catch let error as CertificateError {
            throw Failure("\(certificatePath(name)): \(error.message)")
        }
    }
}
