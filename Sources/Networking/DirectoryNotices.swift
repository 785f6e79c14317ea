import CLinux
import Glibc
import LinuxSystem

/// Tells when something in a directory changes.
struct DirectoryNotices {
    private let notices: FileDescriptor

    init(_ directory: String) throws {
        notices = FileDescriptor(
            owning: try check("inotify_init1", "watch \(directory)") { apus_inotify(directory) })
    }

    /// Waits for the next change: true; or for the end of a process: false.
    func wait(orEndOf process: ProcessDescriptor) async throws -> Bool {
        let notices = notices
        return try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await notices.readable()
                _ = try notices.read(upTo: 4096)
                return true
            }
            group.addTask {
                try await process.waitUntilGone()
                return false
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
    }
}
