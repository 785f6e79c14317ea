import ApusCommands
import ArgumentParser
import Foundation
import Testing

/// The documents and scripts that come from the command tree.
struct ReferenceTests {
    private var document: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "docs/reference/commands.md")
    }

    /// With APUS_WRITE_DOCS set, the page is written instead of compared.
    @Test func thePageOfCommandsIsWhatTheProgramSays() throws {
        let expected = try CommandReference.markdown()
        if ProcessInfo.processInfo.environment["APUS_WRITE_DOCS"] != nil {
            try Data(expected.utf8).write(to: document)
        }
        let written = try String(contentsOf: document, encoding: .utf8)
        #expect(written == expected, "run: APUS_WRITE_DOCS=1 make unit FILTER=ReferenceTests")
    }

    @Test func everyCommandHasAnExampleOfItsOwn() throws {
        func look(_ type: any ParsableCommand.Type, path: String) {
            let configuration = type.configuration
            #expect(!configuration.abstract.isEmpty, "\(path) has no abstract")
            #expect(configuration.discussion.contains("EXAMPLES:\n  \(path)"), "\(path) has no example")
            for subcommand in configuration.subcommands
                + configuration.groupedSubcommands.flatMap(\.subcommands)
            {
                look(subcommand, path: path + " " + name(of: subcommand))
            }
        }
        func name(of type: any ParsableCommand.Type) -> String {
            type.configuration.commandName ?? String(describing: type).lowercased()
        }
        look(Apus.self, path: "apus")
    }

    @Test(arguments: [CompletionShell.bash, .zsh, .fish])
    func completionScriptsKnowTheCommands(shell: CompletionShell) {
        let script = Apus.completionScript(for: shell)
        for command in ["launch", "snapshot", "waitready", "---completion"] {
            #expect(script.contains(command))
        }
    }
}
