import ApusAPI
import ApusClient
package import ArgumentParser
import Glibc
import Yams

/// `apus config edit`
package struct ConfigEdit: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "edit",
        abstract: "Edit a container's configuration with the editor of VISUAL or EDITOR.",
        discussion: """
            Reads YAML from standard input if that is no terminal. Refuses if somebody else changed the container \
            in the meantime.

            EXAMPLES:
              apus config edit c1
              apus config edit c1 < c1.yaml
            """)

    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    private static let preface = """
        # The container's configuration, as YAML. What stands behind a # is ignored.
        # Keys of profiles are not shown; see them with: apus config show --expanded

        """

    package func run() async throws {
        let session = global.session
        let name = try ContainerName(container).name
        let (instance, etag) = try await session.client.getTagged("/1.0/instances/\(name)", as: Instance.self)
        if !Terminal.isTerminal(STDIN_FILENO) {
            let text = try FileIO.standardInput()
            guard text.contains(where: { !$0.isWhitespace }) else { throw Failure("standard input is empty") }
            return try await apply(text, name, etag, session)
        }
        let original = Self.preface + (try Rendering.yaml(EditableInstance(instance)))
        var text = original
        while true {
            text = try Editor.edit(text)
            if text == original { return }
            do {
                return try await apply(text, name, etag, session)
            } catch {
                Output.failure("\(error)")
                session.output.write("Edit again? (yes/no): ")
                guard readLine()?.lowercased().hasPrefix("y") == true else { throw ExitCode.failure }
            }
        }
    }

    private func apply(_ text: String, _ name: String, _ etag: String?, _ session: Session) async throws {
        let edited: EditableInstance
        do {
            edited = try YAMLDecoder().decode(EditableInstance.self, from: text)
        } catch let error as DecodingError {
            throw Failure("this is not a container's configuration: \(error.summary)")
        } catch {
            throw Failure("this is not YAML: \(error)")
        }
        try await session.finish(
            try await session.client.updateInstance(name, edited.request, etag: etag), "Changing \(name)")
    }
}
