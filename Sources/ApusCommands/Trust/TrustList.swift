import ApusAPI
import ApusClient
package import ArgumentParser
import Certificates
import Foundation

/// `apus config trust list`
package struct TrustList: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the clients that are trusted.",
        discussion: """
            EXAMPLES:
              apus config trust list
              apus config trust list --format json
            """,
        aliases: ["ls"])

    @Argument(
        help: ArgumentHelp("REMOTE: of the daemon, if it is not the default one.", valueName: "remote:"),
        completion: .hosts)
    package var remote: String?

    @OptionGroup package var format: FormatOptions
    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: remote)
        let certificates = try await session.client.certificates()
        session.output.write(
            try Rendering.list(certificates, as: format.format) {
                Table(
                    header: [
                        "TYPE", "NAME", "COMMON NAME", "FINGERPRINT", "ISSUE DATE", "EXPIRY DATE",
                    ],
                    rows: certificates.map(Self.row))
            })
    }

    private static func row(_ certificate: Certificate) -> [String] {
        let parsed = try? TLSCertificate(text: certificate.certificate)
        return [
            certificate.type, certificate.name, parsed?.commonName ?? "",
            String(certificate.fingerprint.prefix(12)), moment(parsed?.notBefore), moment(parsed?.notAfter),
        ]
    }

    private static func moment(_ date: Date?) -> String {
        date.map { Units.moment(Timestamp(seconds: Int64($0.timeIntervalSince1970))) } ?? ""
    }
}

/// `apus config trust list-tokens`
package struct TrustListTokens: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list-tokens",
        abstract: "List the tokens that are good now.",
        discussion: """
            EXAMPLES:
              apus config trust list-tokens
            """)

    @Argument(
        help: ArgumentHelp("REMOTE: of the daemon, if it is not the default one.", valueName: "remote:"),
        completion: .hosts)
    package var remote: String?

    @OptionGroup package var format: FormatOptions
    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: remote)
        let tokens = try await session.client.joinTokens().map(\.token)
        let rows = try tokens.map { [$0.clientName, try $0.text(), Units.moment($0.expiresAt)] }
        session.output.write(
            try Rendering.list(tokens, as: format.format) {
                Table(header: ["NAME", "TOKEN", "EXPIRES AT"], rows: rows)
            })
    }
}

/// `apus config trust revoke-token`
package struct TrustRevokeToken: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "revoke-token",
        abstract: "Make the tokens of a name worthless.",
        discussion: """
            EXAMPLES:
              apus config trust revoke-token laptop
            """)

    @Argument(help: ArgumentHelp("The name that the token was made for.", valueName: "name"))
    package var name: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: name)
        let name = ResourceName(name).name
        let own = try await session.client.joinTokens().filter { $0.token.clientName == name }
        guard !own.isEmpty else { throw Failure("there is no token for \"\(name)\"") }
        for (operation, _) in own { try await session.client.cancelOperation(operation) }
    }
}
