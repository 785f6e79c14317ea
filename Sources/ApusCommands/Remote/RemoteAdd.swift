package import ArgumentParser
import ApusAPI
import ApusClient
import Certificates
import Foundation

/// `apus remote add`
package struct RemoteAdd: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add a host, or an image server.",
        discussion: """
            A host is added with a token, which is made there with "apus config trust add NAME" and can be used once; or \
            with its address and its trust password. From then on it is known by its certificate, and it trusts this \
            client's. Without a token the certificate's fingerprint is shown, for you to compare with what \
            "apus info" shows there.

            EXAMPLES:
              apus remote add host2 eyJjbGllbnRfbmFtZSI6…
              apus remote add host2 https://10.0.0.2:8443
              apus remote add host2 10.0.0.2 --accept-certificate --password secret
              apus remote add mine https://images.example.org
              apus remote add test https://10.0.0.1:8443 --certificate ca.pem
            """)

    @Argument(help: ArgumentHelp("Its name.", valueName: "name"))
    package var name: String

    @Argument(help: ArgumentHelp("A token, or the address: https://HOST[:PORT].", valueName: "token|url"))
    package var place: String

    @Option(
        name: .customLong("protocol"),
        help: ArgumentHelp(
            "What it speaks: apus or lxd (a host), simplestreams (an image server). Found out without it.",
            valueName: "protocol"))
    package var kind: Kind?

    @Option(help: ArgumentHelp("The host's trust password.", valueName: "password"))
    package var password: String?

    @Flag(name: .long, help: "Take the certificate that the host shows without asking.")
    package var acceptCertificate = false

    @Option(
        help: ArgumentHelp(
            "A file with certificates in PEM: that of the host; or those to trust an image server by, beside the "
                + "system's.", valueName: "file"),
        completion: .file())
    package var certificate: String?

    @Flag(
        name: .long,
        help: "Only what the host gives to everybody: its public images. Image servers always are so.")
    package var `public` = false

    @OptionGroup package var global: GlobalOptions

    /// What a remote speaks.
    package enum Kind: String, CaseIterable, ExpressibleByArgument, Sendable {
        case apus, lxd, simplestreams
    }

    package init() {}

    package func validate() throws {
        try RemoteText.checkName(name)
        if kind == .simplestreams { try RemoteText.checkURL(place) }
        guard !self.public || password == nil else {
            throw ValidationError(
                "--public and --password exclude each other: with a password you become trusted.")
        }
    }

    package func run() async throws {
        var remotes = try Remotes.load()
        try remotes.checkFree(name)
        let pem = try certificate.map { path in
            guard let data = FileManager.default.contents(atPath: path) else {
                throw Failure("cannot read the certificate \(path)")
            }
            return data
        }
        if try await isImageServer() {
            if let pem { try Remotes.saveCertificate(pem, of: name) }
            remotes.remotes[name] = Remote(
                addr: RemoteText.trimmed(place), protocol: Kind.simplestreams.rawValue, public: true)
            return try remotes.save()
        }
        let joining = Joining(
            name: name, password: password, acceptsCertificate: acceptCertificate, isPublic: self.public,
            known: try pem.map { try TLSCertificate(text: String(decoding: $0, as: UTF8.self)) },
            output: global.session.output)
        let joined = try await joining.join(place)
        if let pinned = joined.address.pinned { try Remotes.saveCertificate(Data(pinned.pem.utf8), of: name) }
        remotes.remotes[name] = Remote(
            addr: joined.address.url, protocol: (kind ?? joined.kind).rawValue, public: self.public)
        do {
            try remotes.save()
        } catch {
            Remotes.removeCertificate(of: name)
            throw error
        }
    }

    /// Whether the place is a server of images. If nobody said so, it is asked: hosts answer as LXD does.
    private func isImageServer() async throws -> Bool {
        if let kind { return kind == .simplestreams }
        if CertificateAddToken(text: place) != nil || password != nil || acceptCertificate { return false }
        guard place.hasPrefix("https://") else { return false }
        let address = try SecureAddress(url: place)
        do {
            return try await !Joining.isDaemon(address)
        } catch let error as ClientError where error.code == .unreachable && !RemoteText.hasPort(place) {
            // Nobody is at the port of hosts; image servers are at that of the web.
            let web = SecureAddress(host: address.host, port: 443)
            guard (try? await web.shownCertificate(limit: .seconds(5))) != nil else { throw error }
            return true
        }
    }
}
