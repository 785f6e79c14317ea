import ApusClient
package import ArgumentParser
import Foundation

/// `apus remote remove`
package struct RemoteRemove: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Forget a remote; images that came from it stay, and so does its trust in this client.",
        discussion: """
            EXAMPLES:
              apus remote remove mine
            """,
        aliases: ["rm"])

    @Argument(help: ArgumentHelp("Its name.", valueName: "name"), completion: .remotes)
    package var name: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        var remotes = try Remotes.load()
        _ = try remotes.take(name, to: "removed")
        guard remotes.defaultRemote != name else {
            throw Failure("\(name) is the default remote; choose another first: apus remote switch local")
        }
        try remotes.save()
        Remotes.removeCertificate(of: name)
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

    @Argument(help: ArgumentHelp("Its name.", valueName: "name"), completion: .remotes)
    package var name: String

    @Argument(help: ArgumentHelp("Its new name.", valueName: "new-name"))
    package var newName: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws { try RemoteText.checkName(newName) }

    package func run() async throws {
        var remotes = try Remotes.load()
        try remotes.checkFree(newName)
        let remote = try remotes.take(name, to: "renamed")
        remotes.remotes[newName] = remote
        if remotes.defaultRemote == name { remotes.defaultRemote = newName }
        // First the certificate: a host without one would be looked up with the system's authorities.
        let certificate = Remotes.certificate(name)
        if !certificate.isEmpty { try Remotes.saveCertificate(Data(certificate.utf8), of: newName) }
        try remotes.save()
        Remotes.removeCertificate(of: name)
    }
}

/// `apus remote set-url`
package struct RemoteSetURL: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "set-url",
        abstract: "Give a remote another address; a host is known by its certificate as before.",
        discussion: """
            EXAMPLES:
              apus remote set-url mine https://images.example.net
              apus remote set-url host2 https://10.0.0.3:8443
            """)

    @Argument(help: ArgumentHelp("Its name.", valueName: "name"), completion: .remotes)
    package var name: String

    @Argument(help: ArgumentHelp("Its address.", valueName: "url"))
    package var url: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws { try RemoteText.checkURL(url) }

    package func run() async throws {
        var remotes = try Remotes.load()
        var remote = try remotes.find(name)
        guard name != ResourceName.localRemote, remote.protocol != "debian" else {
            throw Failure("the remote \"\(name)\" has no address to change")
        }
        remote.addr = remote.isDaemon ? try SecureAddress(url: url).url : RemoteText.trimmed(url)
        remote.isStatic = false
        remotes.remotes[name] = remote
        try remotes.save()
    }
}
