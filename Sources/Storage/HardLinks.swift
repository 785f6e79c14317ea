import CStorage
import Glibc

/// Remembers the first copy of every file that has several names; the others become links to it.
final class HardLinks: @unchecked Sendable {
    private let lock = Lock()
    private var first: [UInt64: FileName]

    /// Starts with the copies that are known already, as paths by inode.
    init(known: [UInt64: FileName] = [:]) { first = known }

    /// Makes the file with `make` if its inode has not been met before, and returns it open for filling.
    /// Else links `name` to the copy that exists, and returns nil.
    func makeOrLink(
        _ inode: UInt64, _ path: @autoclosure () -> FileName, root: Int32, directory: Int32,
        name: UnsafePointer<CChar>, _ make: () throws -> Int32
    ) throws -> Int32? {
        try lock.with {
            if let known = first[inode] {
                try Self.link(known, below: root, as: name, in: directory)
                return nil
            }
            let made = try make()
            first[inode] = path()
            return made
        }
    }

    /// Links the file at `path` (below `root`, of any length) as `name` in `directory`.
    static func link(_ path: FileName, below root: Int32, as name: UnsafePointer<CChar>, in directory: Int32)
        throws
    {
        var parts = path.components
        let last = parts.popLast() ?? path
        var current = root
        defer { if current != root { close(current) } }
        for part in parts {
            let next = try posix(
                part.withPointer { openat(current, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) },
                "open",
                path.text)
            if current != root { close(current) }
            current = next
        }
        try posix(
            last.withPointer { linkat(current, $0, directory, name, 0) }, "link \(String(cString: name)) to",
            path.text)
    }
}
