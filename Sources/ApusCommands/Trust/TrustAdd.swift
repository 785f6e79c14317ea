import ApusAPI
import ApusClient
package import ArgumentParser
import Foundation

/// `apus config trust add`
package struct TrustAdd: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Trust a client: by its certificate, or by a token with which it adds itself.",
        discussion: """
            With a name, a token is printed, which is good once and expires (core.remote_token_expiry). On the other \
            machine: apus remote add NAME TOKEN. With a file, the certificate in it is trusted at once.

            EXAMPLES:
              apus config trust add laptop
              apus config trust add laptop.crt --name laptop
              cat laptop.crt | apus config trust add - --name laptop
            """)

    @Argument(
        help: ArgumentHelp(
            "The client's name; or a file with its certificate, \"-\" for standard input.",
            valueName: "name|certificate"),
        completion: .file(extensions: ["crt", "pem"]))
    package var subject: String?

    @Option(help: ArgumentHelp("What to call the client.", valueName: "name"))
    package var name: String?

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        guard subject != nil || name != nil else {
            throw ValidationError("Give the client's name, or a file with its certificate.")
        }
        if let subject, !Self.isFile(subject), name != nil {
            throw ValidationError("There is no file \(subject); give a name, or a file and --name.")
        }
    }

    package func run() async throws {
        let session = try global.session(of: name ?? subject.flatMap { Self.isFile($0) ? nil : $0 })
        if let subject, Self.isFile(subject) {
            var post = CertificatesPost()
            post.name = name.map { ResourceName($0).name } ?? ""
            post.certificate = try Self.read(subject)
            return try await session.client.addCertificate(post)
        }
        let name = ResourceName(name ?? subject ?? "").name
        let token = try await session.client.issueToken(name: name)
        session.output.remark("Client \(name) certificate add token:")
        session.output.print(try token.text())
    }

    /// What has a "/" or a certificate's suffix, or is there, is a file.
    package static func isFile(_ text: String) -> Bool {
        text == "-" || text.contains("/") || text.hasSuffix(".crt") || text.hasSuffix(".pem")
            || FileManager.default.fileExists(atPath: text)
    }

    private static func read(_ path: String) throws -> String {
        if path == "-" { return try FileIO.standardInput() }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw Failure("cannot read the certificate \(path)")
        }
        return String(decoding: data, as: UTF8.self)
    }
}
