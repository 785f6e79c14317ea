import Glibc

/// All that the program says goes through here: results to standard output, the rest to standard error.
package struct Output: Sendable {
    /// Whether the remarks between results are wanted.
    package let quiet: Bool

    package init(quiet: Bool = false) { self.quiet = quiet }

    /// A line of the result.
    package func print(_ line: String) { Self.write(line + "\n", to: STDOUT_FILENO) }

    /// A part of the result, as it is.
    package func write(_ text: String) { Self.write(text, to: STDOUT_FILENO) }

    /// What is being done; left out when quiet.
    package func announce(_ line: String) { if !quiet { print(line) } }

    /// A remark beside the result; left out when quiet.
    package func remark(_ line: String) { if !quiet { Self.write(line + "\n", to: STDERR_FILENO) } }

    /// Why it did not work.
    package static func failure(_ message: String) {
        write(Style.standardError.error("Error:") + " " + message + "\n", to: STDERR_FILENO)
    }

    /// Writes a text to a descriptor; the program ends, as it would by SIGPIPE, when nobody reads any more.
    package static func write(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { write(UnsafeRawBufferPointer($0), to: descriptor) }
    }

    /// Writes bytes to a descriptor.
    package static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) {
        do {
            try FileIO.writeAll(bytes, to: descriptor)
        } catch {
            exit(error.errno == EPIPE ? 128 + SIGPIPE : 1)
        }
    }
}
