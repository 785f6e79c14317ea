import CArchive
import CStorage
import Glibc

/// Reads a tarball entry by entry, whatever it is compressed with (gzip, xz, zstd, bzip2, nothing), by
/// libarchive.
final class TarReader {
    private let archive: OpaquePointer
    private let name: String
    /// Sums up what is read, if it is set: then all of it is read.
    var sum: TarSum?
    private var isAtEntry = false
    private var hasEnded = false

    /// Opens a file.
    /// - Parameter name: how errors call it, if not by its path.
    convenience init(path: String, called name: String? = nil) throws {
        try self.init(name: name ?? path) { archive_read_open_filename($0, path, 1 << 20) }
    }

    /// Reads from a descriptor, which stays the caller's.
    convenience init(descriptor: Int32, name: String) throws {
        try self.init(name: name) { archive_read_open_fd($0, descriptor, 1 << 20) }
    }

    private init(name: String, open: (OpaquePointer) -> Int32) throws {
        guard let archive = archive_read_new() else {
            throw ImageError(.system, "cannot read \(name): out of memory")
        }
        self.archive = archive
        self.name = name
        archive_read_support_format_tar(archive)
        archive_read_support_filter_gzip(archive)
        archive_read_support_filter_bzip2(archive)
        archive_read_support_filter_xz(archive)
        archive_read_support_filter_zstd(archive)
        if open(archive) != ARCHIVE_OK { throw failure() }
    }

    deinit { archive_read_free(archive) }

    /// The next entry, valid until the one after it; nil at the end.
    func next() throws -> TarEntry? {
        var entry: OpaquePointer?
        if sum != nil, isAtEntry { try forEachBlock { _, _ in } }
        isAtEntry = false
        if hasEnded { return nil }
        while true {
            switch archive_read_next_header(archive, &entry) {
            case ARCHIVE_OK, ARCHIVE_WARN:
                guard let entry else { throw failure() }
                let found = TarEntry(pointer: entry)
                if found.path != TarSum.name {
                    sum?.begin(found)
                    isAtEntry = true
                }
                return found
            case ARCHIVE_EOF:
                hasEnded = true
                return nil
            case ARCHIVE_RETRY: continue
            default: throw failure()
            }
        }
    }

    /// Hands the entry's data out piece by piece; what lies between pieces is a hole.
    func forEachBlock(_ body: (UnsafeRawBufferPointer, _ offset: Int64) throws -> Void) throws {
        while true {
            var bytes: UnsafeRawPointer?
            var count = 0
            var offset: Int64 = 0
            switch archive_read_data_block(archive, &bytes, &count, &offset) {
            case ARCHIVE_OK, ARCHIVE_WARN:
                let block = UnsafeRawBufferPointer(start: bytes, count: count)
                if isAtEntry { sum?.add(block) }
                try body(block, offset)
            case ARCHIVE_EOF: return
            case ARCHIVE_RETRY: continue
            default: throw failure()
            }
        }
    }

    /// All of a small entry's data.
    func readAll(limit: Int, entry: String) throws -> [UInt8] {
        var result: [UInt8] = []
        try forEachBlock { bytes, offset in
            guard offset >= 0, offset <= limit, Int(offset) + bytes.count <= limit else {
                throw ImageError(.invalid, "\(entry) in \(name) is larger than \(limit) bytes")
            }
            if result.count < Int(offset) {
                result.append(contentsOf: repeatElement(0, count: Int(offset) - result.count))
            }
            result.append(contentsOf: bytes)
        }
        return result
    }

    /// How much of the file itself, compressed, has been read.
    var consumed: Int64 { archive_filter_bytes(archive, -1) }

    private func failure() -> ImageError {
        let reason = archive_error_string(archive).map { String(cString: $0) } ?? "not a tarball"
        return ImageError(.invalid, "\(name) is not a whole tarball: \(reason)")
    }

    /// Runs `body` with names taken as UTF-8, whatever the locale of this process: libarchive asks the
    /// locale.
    static func withUnicodeNames<Result>(_ body: () throws -> Result) rethrows -> Result {
        let locale = newlocale(1 << LC_CTYPE, "C.UTF-8", nil)
        guard let locale else { return try body() }
        let before = uselocale(locale)
        defer {
            uselocale(before)
            freelocale(locale)
        }
        return try body()
    }
}

/// One entry of a tarball.
struct TarEntry {
    /// libarchive's entry.
    let pointer: OpaquePointer

    /// The name as it stands in the tarball.
    var path: String { archive_entry_pathname(pointer).map { String(cString: $0) } ?? "" }
    /// The name of the file this entry is another name of.
    var hardLink: String? { archive_entry_hardlink(pointer).map { String(cString: $0) } }
    /// Where a symlink points.
    var symlink: String { archive_entry_symlink(pointer).map { String(cString: $0) } ?? "" }
    /// The type bits of the mode.
    var type: UInt32 { UInt32(archive_entry_filetype(pointer)) }
    /// The permission bits of the mode.
    var permissions: mode_t { mode_t(archive_entry_perm(pointer)) & 0o7777 }
    /// The number of a device; 0 for an overlay's mark of a deleted file.
    var device: dev_t { archive_entry_rdev(pointer) }
    /// The size of a file's data.
    var size: Int64 { archive_entry_size(pointer) }
    /// Whether it has holes.
    var isSparse: Bool { archive_entry_sparse_count(pointer) > 0 }
    /// The owner.
    var user: Int64 { archive_entry_uid(pointer) }
    /// The group.
    var group: Int64 { archive_entry_gid(pointer) }
    /// When the data was changed.
    var modified: timespec {
        timespec(
            tv_sec: Int(archive_entry_mtime(pointer)),
            tv_nsec: min(max(0, Int(archive_entry_mtime_nsec(pointer))), 999_999_999))
    }

    /// Calls `body` for each extended attribute.
    func forEachAttribute(_ body: (UnsafePointer<CChar>, UnsafeRawBufferPointer) throws -> Void) rethrows {
        archive_entry_xattr_reset(pointer)
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        while archive_entry_xattr_next(pointer, &name, &value, &size) == ARCHIVE_OK {
            if let name { try body(name, UnsafeRawBufferPointer(start: value, count: size)) }
        }
    }
}
