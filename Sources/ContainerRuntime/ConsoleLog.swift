import Glibc
import LinuxSystem

/// The file that keeps what a console printed. Full, it makes room by taking the place of the one before it.
package final class ConsoleLog {
    private let path: String
    private let limit: Int
    private var file: FileDescriptor?
    private var size = 0

    /// The log at a path, which grows up to `limit` bytes. An empty path: nothing is kept.
    package init(path: String, limit: Int = 1 << 20) {
        self.path = path
        self.limit = limit
        open()
    }

    private var former: String { path + ".old" }

    /// Adds what was printed.
    package func append(_ bytes: [UInt8]) {
        guard let file else { return }
        try? file.write(bytes)
        size += bytes.count
        guard size > limit else { return }
        rename(path, former)
        open()
    }

    /// The last of what was printed, whole lines of it where it is cut off.
    package func tail(_ count: Int) -> [UInt8] {
        guard !path.isEmpty else { return [] }
        var bytes = Self.tail(count, of: path)
        if bytes.count < count { bytes = Self.tail(count - bytes.count, of: former) + bytes }
        guard bytes.count == count, let line = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return bytes }
        return Array(bytes[(line + 1)...])
    }

    private static func tail(_ count: Int, of path: String) -> [UInt8] {
        guard let file = try? FileDescriptor.open(path, O_RDONLY), let size = try? file.status().st_size
        else {
            return []
        }
        lseek(file.rawValue, max(0, size - count), SEEK_SET)
        return (try? file.readAll(limit: count)) ?? []
    }

    private func open() {
        guard !path.isEmpty else { return }
        file = try? FileDescriptor.open(path, O_WRONLY | O_CREAT | O_APPEND, mode: 0o600)
        size = Int((try? file?.status().st_size) ?? 0)
    }
}
