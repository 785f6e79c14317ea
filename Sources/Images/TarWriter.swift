import CArchive
import Glibc
import Storage

/// Writes an image tarball; compressed with zstd unless told otherwise: on two cores that costs less time than writing
/// and hashing the three times larger plain file.
final class TarWriter {
    private let archive: OpaquePointer
    private let entry: OpaquePointer
    private let name: String
    private let now = time(nil)
    /// Sums up what is written, if it is set.
    var sum: TarSum?

    /// Makes a file anew.
    init(path: String, compression: ImageCompression = .zstd) throws {
        guard let archive = archive_write_new(), let entry = archive_entry_new() else {
            throw ImageError(.system, "cannot write \(path): out of memory")
        }
        self.archive = archive
        self.entry = entry
        name = path
        archive_write_set_format_pax_restricted(archive)
        compression.add(to: archive)
        try check(archive_write_open_filename(archive, path))
    }

    deinit {
        archive_entry_free(entry)
        archive_write_free(archive)
    }

    /// Adds a directory that belongs to root.
    func addDirectory(_ path: String, mode: mode_t = 0o755) throws {
        begin(path, type: FileType.directory, mode: mode)
        try writeHeader()
    }

    /// Adds a symlink that belongs to root.
    func addSymlink(_ path: String, to target: String) throws {
        begin(path, type: FileType.symlink, mode: 0o777)
        archive_entry_set_symlink(entry, target)
        try writeHeader()
    }

    /// Adds a file that belongs to root.
    func addFile(_ path: String, _ content: [UInt8], mode: mode_t = 0o644) throws {
        begin(path, type: FileType.regular, mode: mode)
        archive_entry_set_size(entry, Int64(content.count))
        try writeHeader()
        try content.withUnsafeBytes { try write($0) }
    }

    /// Adds an entry of another tarball under another name, with all it carries.
    func add(_ other: TarEntry, from reader: TarReader, as path: String, hardLink: String?) throws {
        archive_entry_set_pathname(other.pointer, path)
        if let hardLink { archive_entry_set_hardlink(other.pointer, hardLink) }
        archive_entry_set_uname(other.pointer, nil)
        archive_entry_set_gname(other.pointer, nil)
        archive_entry_unset_atime(other.pointer)
        archive_entry_unset_ctime(other.pointer)
        try check(archive_write_header(archive, other.pointer))
        guard hardLink == nil, other.type == FileType.regular, other.size > 0 else { return }
        var position: Int64 = 0
        try reader.forEachBlock { bytes, offset in
            if offset > position { try writeZeros(offset - position) }
            try write(bytes)
            position = offset + Int64(bytes.count)
        }
        if position < other.size { try writeZeros(other.size - position) }
    }

    /// Adds a directory, file, fifo or device with all that it carries. `fill` writes a file's data: bytes, or a number
    /// of zeros where there are none. `data` tells where there is data, if there are holes.
    func add(
        _ path: String, _ status: stat, attributes: [(name: String, value: [UInt8])],
        data: [Range<Int64>]? = nil,
        _ fill: ((_ bytes: UnsafeRawBufferPointer?, _ zeros: Int64) throws -> Void) throws -> Void
    ) throws {
        begin(path, status)
        for (name, value) in attributes {
            value.withUnsafeBytes {
                archive_entry_xattr_add_entry(entry, name, $0.baseAddress, $0.count)
            }
        }
        let isFile = status.st_mode & S_IFMT == S_IFREG
        if isFile { archive_entry_set_size(entry, Int64(status.st_size)) }
        for part in data ?? [] {
            archive_entry_sparse_add_entry(entry, part.lowerBound, part.upperBound - part.lowerBound)
        }
        // Nothing but a hole has to be told as well.
        if data?.isEmpty == true { archive_entry_sparse_add_entry(entry, Int64(status.st_size), 0) }
        try writeHeader()
        guard isFile else { return }
        try fill { bytes, zeros in
            if let bytes { try write(bytes) } else { try writeZeros(zeros) }
        }
    }

    /// Adds a symlink.
    func add(_ path: String, _ status: stat, symlink target: String) throws {
        begin(path, status)
        archive_entry_set_symlink(entry, target)
        try writeHeader()
    }

    /// Adds another name of a file that is in the tarball already.
    func addLink(_ path: String, to other: String) throws {
        begin(path, type: FileType.regular, mode: 0o644)
        archive_entry_set_hardlink(entry, other)
        try writeHeader()
    }

    /// Adds the sum of what was written so far.
    func addSum() throws {
        guard let value = sum?.value else { return }
        sum = nil
        try addFile(TarSum.name, Array((value + "\n").utf8))
    }

    /// Writes what is left. The file is whole only then.
    func finish() throws { try check(archive_write_close(archive)) }

    private func begin(_ path: String, type: UInt32, mode: mode_t) {
        archive_entry_clear(entry)
        archive_entry_set_pathname(entry, path)
        archive_entry_set_filetype(entry, type)
        archive_entry_set_perm(entry, mode)
        archive_entry_set_mtime(entry, now, 0)
    }

    private func begin(_ path: String, _ status: stat) {
        begin(path, type: UInt32(status.st_mode & S_IFMT), mode: status.st_mode & 0o7777)
        archive_entry_set_uid(entry, Int64(status.st_uid))
        archive_entry_set_gid(entry, Int64(status.st_gid))
        archive_entry_set_mtime(entry, status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
        if [S_IFCHR, S_IFBLK].contains(status.st_mode & S_IFMT) {
            archive_entry_set_rdev(entry, status.st_rdev)
        }
    }

    private func writeHeader() throws {
        sum?.begin(TarEntry(pointer: entry))
        try check(archive_write_header(archive, entry))
    }

    private func write(_ bytes: UnsafeRawBufferPointer) throws {
        sum?.add(bytes)
        try put(bytes)
    }

    private func put(_ bytes: UnsafeRawBufferPointer) throws {
        var written = 0
        while written < bytes.count {
            let result = archive_write_data(
                archive, bytes.baseAddress?.advanced(by: written), bytes.count - written)
            if result <= 0 { throw failure() }
            written += result
        }
    }

    private func writeZeros(_ count: Int64) throws {
        guard count > 0 else { return }
        let zeros = [UInt8](repeating: 0, count: Int(min(count, 1 << 20)))
        var left = count
        while left > 0 {
            let piece = Int(min(left, Int64(zeros.count)))
            try zeros.withUnsafeBytes { try put(UnsafeRawBufferPointer(rebasing: $0[..<piece])) }
            left -= Int64(piece)
        }
    }

    private func check(_ result: Int32) throws {
        if result != ARCHIVE_OK && result != ARCHIVE_WARN { throw failure() }
    }

    private func failure() -> ImageError {
        if [ENOSPC, EDQUOT].contains(archive_errno(archive)) {
            return ImageError(
                .tooLarge, "cannot write \(name): the file system is full. Make room there, then try again")
        }
        let reason = archive_error_string(archive).map { String(cString: $0) } ?? "unknown error"
        return ImageError(.system, "cannot write \(name): \(reason)")
    }
}
