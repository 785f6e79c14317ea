import ApusAPI
import ArgumentParser
import Foundation

/// `docs/reference/commands.md`, made from the command tree itself.
package enum CommandReference {
    /// A command, as ArgumentParser describes it.
    private struct Command: Decodable {
        var commandName: String
        var abstract: String?
        var discussion: String?
        var subcommands: [Command]?
        var arguments: [Argument]?
    }

    private struct Argument: Decodable {
        struct Name: Decodable {
            var kind: String
            var name: String
            var text: String { (kind == "short" ? "-" : "--") + name }
        }
        var kind: String
        var shouldDisplay: Bool
        var isOptional: Bool
        var isRepeating: Bool
        var names: [Name]?
        var valueName: String?
        var defaultValue: String?
        var abstract: String?
    }

    private struct Tool: Decodable {
        var command: Command
    }

    /// The whole document.
    package static func markdown() throws -> String {
        let tool = try APIJSON.decode(Tool.self, from: Data(Apus._dumpHelp().utf8))
        var text = """
            # Commands

            What `apus` can do. The names, flags and output are those of LXD's client `lxc` wherever it has them.
            This page is made from the program's own help (`apus help COMMAND`); a test compares them.

            A container is `NAME`, or `REMOTE:NAME` on another host (see `apus remote`), a snapshot `CONTAINER/SNAPSHOT`, a path in a container
            `CONTAINER/PATH`, an image an alias or fingerprint of the daemon's store or `debian:RELEASE`.

            Results go to standard output; progress, remarks and errors to standard error. On a terminal long
            operations draw a bar and lists are coloured (not if `NO_COLOR` is set); elsewhere each stage of a long
            operation is one line. Ctrl+C cancels an operation where that is possible.

            | exit code | meaning |
            |---|---|
            | 0 | done |
            | 1 | failed; the reason is on standard error after `Error:` |
            | 64 | called wrongly |
            | others | `apus exec` gives the command's own: 126 not executable, 127 not found, 128 + N ended by signal N |

            | variable | meaning |
            |---|---|
            | `APUS_DIR` | the daemon's directory, with its socket `unix.socket`; default `/var/lib/apus` |
            | `VISUAL`, `EDITOR` | what `apus config edit` and `apus file edit` start |
            | `NO_COLOR` | no colours |

            Every command knows `-q`, `--quiet` (nothing but results and errors) and `-h`, `--help`.

            """
        for command in tool.command.subcommands ?? [] where command.commandName != "help" {
            append(command, path: "apus", level: 2, to: &text)
        }
        return text
    }

    private static func append(_ command: Command, path: String, level: Int, to text: inout String) {
        let path = "\(path) \(command.commandName)"
        let arguments = (command.arguments ?? []).filter(\.shouldDisplay)
        let subcommands = (command.subcommands ?? []).filter { $0.commandName != "help" }
        text += "\n\(String(repeating: "#", count: level)) \(path)\n\n\(command.abstract ?? "")\n"
        if subcommands.isEmpty { text += "\n```\n\(usage(path, arguments))\n```\n" }
        let (about, examples) = split(command.discussion ?? "")
        if !about.isEmpty { text += "\n\(about)\n" }
        let described = arguments.filter {
            !["help", "version", "quiet"].contains($0.names?.last?.name ?? "")
        }
        .filter { !($0.names ?? []).contains { ["help", "version", "quiet"].contains($0.name) } }
        if !described.isEmpty, subcommands.isEmpty {
            text += "\n| argument | meaning |\n|---|---|\n"
            text += described.map(row).joined()
        }
        if !examples.isEmpty { text += "\n```\n\(examples)\n```\n" }
        for subcommand in subcommands { append(subcommand, path: path, level: level + 1, to: &text) }
    }

    private static func usage(_ path: String, _ arguments: [Argument]) -> String {
        let hasFlags = arguments.contains { $0.kind != "positional" }
        let positional = arguments.filter { $0.kind == "positional" }.map { argument in
            let name = "<\(argument.valueName ?? "")>" + (argument.isRepeating ? "…" : "")
            return argument.isOptional ? "[\(name)]" : name
        }
        return ([path] + (hasFlags ? ["[flags]"] : []) + positional).joined(separator: " ")
    }

    private static func row(_ argument: Argument) -> String {
        let value = argument.kind == "flag" ? "" : "<\(argument.valueName ?? "")>"
        let names = (argument.names ?? []).sorted { $0.text.count < $1.text.count }.map { "`\($0.text)`" }
        let name =
            names.isEmpty
            ? "`\(value)`" : names.joined(separator: ", ") + (value.isEmpty ? "" : " `\(value)`")
        var about = argument.abstract ?? ""
        if let standard = argument.defaultValue, !standard.isEmpty { about += " Default: `\(standard)`." }
        return "| \(name) | \(about.replacingOccurrences(of: "|", with: "\\|")) |\n"
    }

    /// What is said about a command, and its examples.
    private static func split(_ discussion: String) -> (about: String, examples: String) {
        let parts = discussion.components(separatedBy: "EXAMPLES:")
        let about = parts[0].trimmingCharacters(in: .whitespacesAndNewlines)
        let lines = (parts.count > 1 ? parts[1] : "").split(separator: "\n").map { line in
            line.hasPrefix("  ") ? String(line.dropFirst(2)) : String(line)
        }
        return (fenced(about), lines.joined(separator: "\n"))
    }

    /// Indented blocks, such as the legend of columns, keep their shape.
    private static func fenced(_ about: String) -> String {
        var result: [String] = []
        var inside = false
        for line in about.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("  ") != inside {
                result.append("```")
                inside.toggle()
            }
            result.append(inside ? String(line.dropFirst(2)) : String(line))
        }
        if inside { result.append("```") }
        return result.joined(separator: "\n")
    }
}
