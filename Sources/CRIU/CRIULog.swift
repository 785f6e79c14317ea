internal import Glibc

/// Reads the logs CRIU writes: which lines tell of trouble.
public enum CRIULog {
    /// The most error and warning lines reported.
    public static let mostLines = 20
    /// Only this much of the end of a log is read; `-v4` logs of large trees are tens of megabytes.
    static let largestTail = 512 * 1024

    /// The last error and warning lines of a log, without their time stamps; harmless ones left out.
    public static func problems(in text: String) -> [String] {
        let lines = text.split(separator: "\n").filter { $0.contains("Error (") || $0.contains("Warn  (") }
        let wanted = lines.filter { line in !harmless.contains { line.contains($0) } }
        let errors = wanted.filter { $0.contains("Error (") }
        return (errors.isEmpty ? wanted : errors).suffix(mostLines).map { withoutTime(String($0)) }
    }

    /// The same for a log file.
    public static func problems(file path: String) -> [String] {
        problems(inDirectory: AT_FDCWD, file: path)
    }

    static func problems(inDirectory directory: Int32, file: String) -> [String] {
        let descriptor = openat(directory, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return [] }
        defer { _ = close(descriptor) }
        let size = lseek(descriptor, 0, SEEK_END)
        _ = lseek(descriptor, max(0, size - largestTail), SEEK_SET)
        var bytes = [UInt8](repeating: 0, count: min(Int(max(size, 0)), largestTail))
        let count = read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return [] }
        return problems(in: String(decoding: bytes.prefix(count), as: UTF8.self))
    }

    /// Lines CRIU logs as errors though it goes on well.
    private static let harmless = [
        "Can't setup RLIMIT_NOFILE",
        "ddress already assigned",
        "tables-save",
        "tables-legacy-save",
        "tables-restore",
        "tables-legacy-restore",
        "unable to load xtables",
        "cgroupd: recv req error",
        "Dumping FAILED.",
        "Restoring FAILED.",
    ]

    /// Drops the `(00.123456) ` in front of a line.
    private static func withoutTime(_ line: String) -> String {
        guard line.hasPrefix("("), let end = line.firstIndex(of: ")") else { return line }
        return String(line[line.index(after: end)...].drop { $0 == " " })
    }
}
