import Glibc
import LinuxSystem
import Testing

/// Conditions of tests that need more than an ordinary user may do.
enum Host {
    static let isRoot = geteuid() == 0

    /// A directory that goes away with the test.
    static func withTemporaryDirectory<T>(_ body: (String) throws -> T) throws -> T {
        let path = try makeTemporaryDirectory()
        defer { try? removeTree(path) }
        return try body(path)
    }

    static func withTemporaryDirectory<T>(_ body: (String) async throws -> T) async throws -> T {
        let path = try makeTemporaryDirectory()
        defer { try? removeTree(path) }
        return try await body(path)
    }

    private static func makeTemporaryDirectory() throws -> String {
        let base = Environment.value("TMPDIR") ?? "/tmp"
        let path = "\(base)/apus-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try Files.makeDirectories(path, mode: 0o700)
        return path
    }
}
