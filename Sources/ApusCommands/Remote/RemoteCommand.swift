package import ArgumentParser
import Foundation

/// `apus remote`
package struct RemoteCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "remote",
        abstract: "See to the other hosts, and the servers that images come from.",
        discussion: """
            They are kept in ~/.config/apus/config.yml (or below APUS_CONF). Beside it lie the certificates that hosts \
            are known by, in servercerts, and this client's own: client.crt and client.key.

            EXAMPLES:
              apus remote add host2 TOKEN         (made there with: apus config trust add NAME)
              apus list host2:
              apus remote add mine https://images.example.org
              apus launch mine:debian/12 c1
            """,
        subcommands: [
            RemoteAdd.self, RemoteGetDefault.self, RemoteList.self, RemoteRemove.self, RemoteRename.self,
            RemoteSetDefault.self, RemoteSetURL.self,
        ])

    package init() {}
}

/// `apus remote list`
package struct RemoteList: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the remotes.",
        discussion: """
            EXAMPLES:
              apus remote list
            """,
        aliases: ["ls"])

    @OptionGroup package var format: FormatOptions
    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let remotes = try Remotes.load()
        let rows = remotes.all.sorted { $0.key < $1.key }
        global.session.output.write(
            try Rendering.list(remotes.all, as: format.format) {
                Table(
                    header: ["NAME", "URL", "PROTOCOL", "PUBLIC", "STATIC"],
                    rows: rows.map { name, remote in
                        [
                            name + (name == remotes.defaultRemote ? " (current)" : ""), remote.addr,
                            remote.protocol, remote.public ? "YES" : "NO", remote.isStatic ? "YES" : "NO",
                        ]
                    })
            })
    }
}
