import Glibc
import LinuxSystem

/// Renames a file or directory; what it replaces must not be there.
func moveFile(_ from: String, _ to: String) throws {
    try check("rename", "move \(from) to \(to)") { rename(from, to) }
}
