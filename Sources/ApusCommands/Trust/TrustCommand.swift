package import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus config trust`
package struct TrustCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "trust",
        abstract: "See to the clients that may use the daemon over the network.",
        discussion: """
            Whoever is trusted may do everything here, as root.

            EXAMPLES:
              apus config trust add laptop
              apus config trust add laptop.crt --name laptop
              apus config trust list
              apus config trust remove 59cbd4edd2aa
            """,
        subcommands: [
            TrustAdd.self, TrustEdit.self, TrustList.self, TrustListTokens.self, TrustRemove.self,
            TrustRevokeToken.self, TrustShow.self,
        ])

    package init() {}
}

/// The client that a command is about.
package struct TrustArgument: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "The beginning of its fingerprint.", valueName: "fingerprint"))
    package var fingerprint: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    /// The fingerprint, without a remote.
    package var name: String { ResourceName(fingerprint).name }

    /// A session with the daemon that trusts it.
    func session() throws -> Session { try global.session(of: fingerprint) }
}

/// `apus config trust remove`
package struct TrustRemove: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Trust a client no longer; its connections end at once.",
        discussion: """
            EXAMPLES:
              apus config trust remove 59cbd4edd2aa
            """,
        aliases: ["rm"])

    @OptionGroup package var target: TrustArgument

    package init() {}

    package func run() async throws {
        try await target.session().client.deleteCertificate(target.name)
    }
}

/// `apus config trust show`
package struct TrustShow: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print a client that is trusted as YAML.",
        discussion: """
            EXAMPLES:
              apus config trust show 59cbd4edd2aa
            """)

    @OptionGroup package var target: TrustArgument

    package init() {}

    package func run() async throws {
        let session = try target.session()
        session.output.write(
            try Rendering.yaml(try await session.client.certificate(target.name).value))
    }
}

/// `apus config trust edit`
package struct TrustEdit: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "edit",
        abstract: "Edit a client that is trusted as YAML, in an editor or from standard input.",
        discussion: """
            EXAMPLES:
              apus config trust edit 59cbd4edd2aa
              apus config trust edit 59cbd4edd2aa < laptop.yaml
            """)

    @OptionGroup package var target: TrustArgument

    package init() {}

    package func run() async throws {
        let session = try target.session()
        let fingerprint = target.name
        try await EditLoop<EditableCertificate>(
            preface: """
                # This is a client that the daemon trusts.
                # Its name can be changed; its certificate and fingerprint are shown only.

                """,
            noun: "client",
            fetch: {
                let (certificate, etag) = try await session.client.certificate(fingerprint)
                return (EditableCertificate(certificate), etag)
            },
            send: { edited, etag in
                var put = CertificatePut(Certificate())
                put.name = edited.name
                put.type = edited.type
                try await session.client.updateCertificate(fingerprint, put, etag: etag)
            }
        ).run(session.output)
    }
}

/// The part of a trusted client that people edit, as YAML shows it.
package struct EditableCertificate: Editable, Equatable {
    package var name: String
    package var type: String

    package enum CodingKeys: String, CodingKey, CaseIterable { case name, type }

    package static let readOnly: Set = ["certificate", "fingerprint", "projects", "restricted"]

    package init(_ certificate: Certificate) {
        name = certificate.name
        type = certificate.type
    }
}
