import ApusClient
import ArgumentParser
import Glibc

/// Editing something as YAML: in the user's editor, or from standard input.
struct EditLoop<Value: Editable> {
    /// Comments above the text.
    let preface: String
    /// What it is, for error messages.
    let noun: String
    /// Fetches it with its ETag.
    let fetch: () async throws -> (value: Value, etag: String?)
    /// Sends it with the ETag of what was fetched.
    let send: (_ value: Value, _ etag: String?) async throws -> Void

    /// Runs until it is sent, or the user gives up. What was typed is never lost: after a refusal the editor opens with
    /// it again, and if somebody else changed the thing meanwhile, with what that is now beside it.
    func run(_ output: Output) async throws {
        var (value, etag) = try await fetch()
        if !Terminal.isTerminal(STDIN_FILENO) {
            let text = try FileIO.standardInput()
            guard text.contains(where: { !$0.isWhitespace }) else { throw Failure("standard input is empty") }
            return try await send(try parse(text), etag)
        }
        let original = preface + (try Rendering.yaml(value))
        var text = original
        while true {
            text = try Editor.edit(text)
            if text == original { return }
            do {
                return try await send(try parse(text), etag)
            } catch {
                Output.failure("\(error)")
                output.write("Edit again? (yes/no): ")
                guard readLine()?.lowercased().hasPrefix("y") == true else { throw ExitCode.failure }
                guard (error as? ClientError)?.code == .refused(status: 412) else { continue }
                (value, etag) = try await fetch()
                text = Self.withoutRemark(text) + Self.mark + "\n" + Self.commented(try Rendering.yaml(value))
            }
        }
    }

    private static var mark: String { "# Somebody else has changed it meanwhile. It is now:" }

    private static func commented(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map { "# \($0)\n" }.joined()
    }

    private static func withoutRemark(_ text: String) -> String {
        let kept = text.firstRange(of: mark).map { String(text[..<$0.lowerBound]) } ?? text
        return kept.hasSuffix("\n") ? kept : kept + "\n"
    }

    private func parse(_ text: String) throws -> Value { try Value(yaml: text, as: "the \(noun)") }
}
