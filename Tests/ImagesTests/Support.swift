import Glibc
import Images
import LinuxSystem
import Storage
import Testing

/// Conditions of tests that need more than an ordinary user may do.
enum Host {
    static let isRoot = geteuid() == 0

    /// A directory that goes away with the test.
    static func withTemporaryDirectory(_ body: (String) async throws -> Void) async throws {
        let parent = Environment.value("TMPDIR") ?? "/var/tmp"
        let path = "\(parent)/apus-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try Files.makeDirectories(path, mode: 0o700)
        defer { try? removeTree(path) }
        try await body(path)
    }

    static func mode(_ path: String) -> mode_t {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode : 0
    }
}

/// The code of the image error that `body` throws.
func imageError(_ body: () async throws -> Void) async -> ImageError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? ImageError)?.code
    }
}
