import ApusAPI
import ApusClient
package import ArgumentParser
import Glibc
import Yams

/// `apus network edit`
package struct NetworkEdit: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "edit",
        abstract: "Edit a network with the editor of VISUAL or EDITOR.",
        discussion: """
            Reads YAML from standard input if that is no terminal. Refuses if somebody else changed the network in
            the meantime.

            EXAMPLES:
              apus network edit apusbr0
              apus network edit apusbr0 < apusbr0.yaml
            """)

    @OptionGroup package var target: NetworkArgument

    package init() {}

    package func run() async throws {
        let session = try target.session()
        let name = target.name
        let (network, etag) = try await session.client.taggedNetwork(name)
        var put = NetworkPut()
        put.config = network.config
        put.description = network.description
        let text: String
        if Terminal.isTerminal(STDIN_FILENO) {
            let original = try Rendering.yaml(put)
            text = try Editor.edit(original)
            if text == original { return }
        } else {
            text = try FileIO.standardInput()
            guard text.contains(where: { !$0.isWhitespace }) else { throw Failure("standard input is empty") }
        }
        do {
            put = try YAMLDecoder().decode(NetworkPut.self, from: text)
        } catch let error as DecodingError {
            throw Failure("this is not a network: \(error.summary)")
        } catch {
            throw Failure("this is not YAML: \(error)")
        }
        try await session.client.updateNetwork(name, put, etag: etag)
    }
}
