import Foundation

/// What the benchmarks write: progress to standard error, the table to standard output.
enum Output {
    /// One line of the result.
    static func line(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }

    /// What is going on.
    static func progress(_ text: String) {
        FileHandle.standardError.write(Data(("bench: " + text + "\n").utf8))
    }
}
