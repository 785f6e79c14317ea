import CStorage
import Glibc

/// Copies single files.
package enum FileCopy {
    /// Copies a file's data and permissions to a path where nothing is yet; removes the copy if that fails.
    package static func copy(_ source: String, to target: String) throws {
        let from = try posix(open(source, O_RDONLY | O_CLOEXEC), "open", source)
        defer { close(from) }
        let stat = try FileStat.of(from, source)
        let to = try posix(
            open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, stat.permissions), "create", target)
        defer { close(to) }
        do {
            var data = DataCopier(reflinks: Reflinks())
            try target.withCString { try data.fill(to, from: from, stat: stat, path: $0) }
        } catch {
            unlink(target)
            throw error
        }
    }
}
