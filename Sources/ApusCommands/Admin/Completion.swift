package import ArgumentParser

/// `apus completion`
package struct Completion: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "completion",
        abstract: "Print a completion script for a shell.",
        discussion: """
            The script completes commands, flags, and the names of containers, snapshots, images and profiles.

            EXAMPLES:
              apus completion bash > /etc/bash_completion.d/apus
              apus completion zsh > "${fpath[1]}/_apus"
              apus completion fish > ~/.config/fish/completions/apus.fish
            """)

    /// The shells that are known.
    package enum Shell: String, CaseIterable, ExpressibleByArgument, Sendable {
        case bash
        case zsh
        case fish
    }

    @Argument(help: ArgumentHelp("bash, zsh or fish.", valueName: "shell"))
    package var shell: Shell

    package init() {}

    package func run() throws {
        let kind: CompletionShell =
            switch shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        Output().print(Apus.completionScript(for: kind))
    }
}
