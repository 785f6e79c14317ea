import CStorage
import Glibc

/// Fills the table of what was sent, where it was sent by others.
enum TableScan {
    /// Notes a tree that stands still.
    static func fill(_ table: CopiedDirectory, from root: Int32) throws {
        let buffer = EntryBuffer()
        let top = try SourceDirectory(root: root, FileStat.of(root, "the volume"))
        table.stat = top.stat
        var waiting = [(top, table)]
        while let (directory, table) = waiting.popLast() {
            try forEachEntry(of: directory.descriptor, buffer: buffer.bytes, path: directory.path.text) {
                name, _ in
                guard let stat = try FileStat.find(directory.descriptor, name) else { return }
                guard let below = table.add(name, stat, isUncertain: false) else { return }
                waiting.append((try SourceDirectory(directory, FileName(name), stat), below))
            }
        }
    }
}
