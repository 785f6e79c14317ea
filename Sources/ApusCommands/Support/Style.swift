import Glibc

/// Colours, where they are wanted: on a terminal, and not against the user's `NO_COLOR`.
package struct Style: Sendable {
    /// Whether colours are used.
    package let colours: Bool

    package init(colours: Bool) { self.colours = colours }

    /// The style of standard output.
    package static var standardOutput: Style { Style(colours: wanted(STDOUT_FILENO)) }
    /// The style of standard error.
    package static var standardError: Style { Style(colours: wanted(STDERR_FILENO)) }

    private static func wanted(_ descriptor: Int32) -> Bool {
        let environment = { (name: String) in getenv(name).map { String(cString: $0) } ?? "" }
        return isatty(descriptor) == 1 && environment("NO_COLOR").isEmpty && environment("TERM") != "dumb"
    }

    /// Something that went wrong.
    package func error(_ text: String) -> String { painted("31", text) }

    /// A container's status in its colour.
    package func status(_ text: String) -> String {
        switch text.uppercased() {
        case "RUNNING": painted("32", text)
        case "FROZEN": painted("36", text)
        case "ERROR": painted("31", text)
        default: text
        }
    }

    private func painted(_ code: String, _ text: String) -> String {
        colours && !text.isEmpty ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }
}
