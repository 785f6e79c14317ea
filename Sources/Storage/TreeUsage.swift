import CStorage
import Glibc

/// Measures what a tree occupies on disk.
enum TreeUsage {
    /// The bytes of all blocks; a file with several names counts once.
    static func measure(_ path: String) throws -> UInt64 {
        let root = try TreeCopier.open(path)
        defer { close(root) }
        let mount = try FileStat.of(root, path).mount
        let sum = Sum()
        let queue = WorkQueue([try SourceDirectory(root: root, FileStat.of(root, path))])
        try queue.run(context: { EntryBuffer() }) { buffer, directory in
            var found: [SourceDirectory] = []
            var blocks = directory.stat.blocks
            try forEachEntry(of: directory.descriptor, buffer: buffer.bytes, path: directory.path.text) {
                name, _ in
                guard let stat = try FileStat.find(directory.descriptor, name) else { return }
                if stat.isDirectory {
                    guard stat.mount == mount else { return }
                    if let below = try? SourceDirectory(directory, FileName(name), stat) {
                        found.append(below)
                    }
                } else if stat.nlink == 1 || sum.isFirst(stat.ino) {
                    blocks += stat.blocks
                }
            }
            sum.add(blocks)
            queue.add(found)
        }
        return sum.blocks * 512
    }

    private final class Sum: @unchecked Sendable {
        private let lock = Lock()
        private(set) var blocks: UInt64 = 0
        private var linked: Set<UInt64> = []

        func add(_ more: UInt64) { lock.with { blocks += more } }
        func isFirst(_ inode: UInt64) -> Bool { lock.with { linked.insert(inode).inserted } }
    }
}
