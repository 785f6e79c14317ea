import CArchive
import Crypto
import Glibc

/// The SHA-256 sum of what a tarball holds: names, owners, modes, times and data of its entries, in their order. Not every
/// compression notices that a byte has changed.
struct TarSum {
    /// The entry that a backup's sum is in, the last one.
    static let name = "backup/apus/sum"

    private var hash = SHA256()

    /// Adds what is known of an entry before its data.
    mutating func begin(_ entry: TarEntry) {
        let path = entry.path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
        var words = [path, entry.hardLink ?? ""]
        if entry.hardLink == nil {
            words += [
                String(entry.type), String(entry.permissions), String(entry.user), String(entry.group),
                String(entry.modified.tv_sec), entry.symlink,
            ]
            if entry.type == S_IFREG { words.append(String(entry.size)) }
        }
        hash.update(data: Array(words.joined(separator: "\0").utf8))
        hash.update(data: [0, 0])
    }

    /// Adds some of its data; holes have none.
    mutating func add(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }

    /// The sum of what was added so far.
    var value: String { Fingerprint.hex(hash.finalize()) }
}
