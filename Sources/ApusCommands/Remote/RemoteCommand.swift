package import ArgumentParser
import Foundation

/// `apus remote`
package struct RemoteCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "remote",
        abstract: "See to the servers that images come from.",
        discussion: """
            They are kept in ~/.config/apus/config.yml (or below APUS_CONF), certificates beside it in servercerts.

            EXAMPLES:
              apus remote list
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

/// `apus remote add`
package struct RemoteAdd: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add an image server.",
        discussion: """
            EXAMPLES:
              apus remote add mine https://images.example.org
              apus remote add test https://10.0.0.1:8443 --certificate ca.pem
            """)

    @Argument(help: ArgumentHelp("Its name.", valueName: "name"))
    package var name: String

    @Argument(help: ArgumentHelp("Its address, which begins with https://.", valueName: "url"))
    package var url: String

    @Option(name: .customLong("protocol"), help: ArgumentHelp("What it speaks.", valueName: "protocol"))
    package var kind = "simplestreams"

    @Option(
        help: ArgumentHelp(
            "A file with certificates in PEM to trust it by, beside those of the system.", valueName: "file"),
        completion: .file())
    package var certificate: String?

    @Flag(name: .long, help: "Accepted for LXD's sake: image servers always are.")
    package var `public` = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        try RemoteText.checkName(name)
        try RemoteText.checkURL(url)
        guard kind == "simplestreams" else {
            throw ValidationError(
                "Remotes that speak \"\(kind)\" are not part of this version; simplestreams is.")
        }
    }

    package func run() async throws {
        var remotes = try Remotes.load()
        guard remotes.all[name] == nil else { throw Failure("there is a remote \"\(name)\" already") }
        if let certificate {
            guard let data = FileManager.default.contents(atPath: certificate) else {
                throw Failure("cannot read the certificate \(certificate)")
            }
            let path = Remotes.certificatePath(name)
            try FileManager.default.createDirectory(
                atPath: PathText.parent(path), withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o750])
            try data.write(to: URL(filePath: path), options: .atomic)
        }
        remotes.remotes[name] = Remote(addr: RemoteText.trimmed(url), protocol: kind, public: true)
        try remotes.save()
    }
}

/// What may stand for a remote.
enum RemoteText {
    static func checkName(_ name: String) throws {
        guard !name.isEmpty, !name.contains(where: { ":/. ".contains($0) }) else {
            throw ValidationError("A remote's name has no \":\", \"/\", \".\" or spaces.")
        }
    }

    static func checkURL(_ url: String) throws {
        guard url.hasPrefix("https://"), url.count > 8 else {
            throw ValidationError("The address of an image server begins with https://.")
        }
    }

    static func trimmed(_ url: String) -> String {
        var url = url
        while url.hasSuffix("/") { url.removeLast() }
        return url
    }
}

/// `apus remote remove`
package struct RemoteRemove: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Forget a remote; images that came from it stay.",
        discussion: """
            EXAMPLES:
              apus remote remove mine
            """,
        aliases: ["rm"])

    @Argument(help: ArgumentHelp("Its name.", valueName: "name"))
    package var name: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        var remotes = try Remotes.load()
        _ = try remotes.find(name)
        guard remotes.remotes.removeValue(forKey: name) != nil else {
            throw Failure("the remote \"\(name)\" came with the program and cannot be removed")
        }
        try remotes.save()
        try? FileManager.default.removeItem(atPath: Remotes.certificatePath(name))
    }
}

/// `apus remote rename`
package struct RemoteRename: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "rename", abstract: "Give a remote another name.",
        discussion: """
            EXAMPLES:
              apus remote rename mine ours
            """,
        aliases: ["mv"])

    @Argument(help: ArgumentHelp("Its name.", valueName: "name"))
    package var name: String

    @Argument(help: ArgumentHelp("Its new name.", valueName: "new-name"))
    package var newName: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws { try RemoteText.checkName(newName) }

    package func run() async throws {
        var remotes = try Remotes.load()
        _ = try remotes.find(name)
        guard remotes.all[newName] == nil else { throw Failure("there is a remote \"\(newName)\" already") }
        guard let remote = remotes.remotes.removeValue(forKey: name) else {
            throw Failure("the remote \"\(name)\" came with the program and cannot be renamed")
        }
        remotes.remotes[newName] = remote
        try remotes.save()
        try? FileManager.default.moveItem(
            atPath: Remotes.certificatePath(name), toPath: Remotes.certificatePath(newName))
    }
}

/// `apus remote set-url`
package struct RemoteSetURL: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "set-url", abstract: "Give a remote another address.",
        discussion: """
            EXAMPLES:
              apus remote set-url mine https://images.example.net
            """)

    @Argument(help: ArgumentHelp("Its name.", valueName: "name"))
    package var name: String

    @Argument(help: ArgumentHelp("Its address.", valueName: "url"))
    package var url: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws { try RemoteText.checkURL(url) }

    package func run() async throws {
        var remotes = try Remotes.load()
        var remote = try remotes.imageServer(name)
        remote.addr = RemoteText.trimmed(url)
        remote.isStatic = false
        remotes.remotes[name] = remote
        try remotes.save()
    }
}

/// `apus remote get-default`
package struct RemoteGetDefault: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "get-default", abstract: "Print where names without a remote are looked up.",
        discussion: """
            EXAMPLES:
              apus remote get-default
            """)

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws { global.session.output.print(try Remotes.load().defaultRemote) }
}

/// `apus remote set-default`
package struct RemoteSetDefault: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "set-default",
        abstract: "Choose where names without a remote are looked up: in this version always \"local\".",
        discussion: """
            EXAMPLES:
              apus remote set-default local
            """,
        aliases: ["switch"])

    @Argument(help: ArgumentHelp("The remote's name.", valueName: "name"))
    package var name: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        var remotes = try Remotes.load()
        guard try remotes.find(name).protocol == "apus" else {
            throw Failure("\"\(name)\" has images but no containers, so it cannot be the default")
        }
        remotes.defaultRemote = name
        try remotes.save()
    }
}
