import CArchive
import Glibc

/// How an image's tarball is compressed.
public enum ImageCompression: String, Sendable, Hashable, CaseIterable {
    /// zstd, with all processors: the quickest by far, and small.
    case zstd
    /// gzip: what everything can read.
    case gzip
    /// xz, with all processors: the smallest, and slow.
    case xz
    /// bzip2.
    case bzip2
    /// Not at all.
    case none
    /// A squashfs file in place of a tarball.
    case squashfs

    /// What image files compressed so end in.
    public var suffix: String {
        switch self {
        case .zstd: ".tar.zst"
        case .gzip: ".tar.gz"
        case .xz: ".tar.xz"
        case .bzip2: ".tar.bz2"
        case .none: ".tar"
        case .squashfs: ".squashfs"
        }
    }

    /// What a file is compressed with, by its first bytes.
    public static func of(_ path: String) -> ImageCompression {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return .none }
        defer { close(file) }
        var head = [UInt8](repeating: 0, count: 6)
        guard read(file, &head, head.count) == head.count else { return .none }
        let magics: [([UInt8], ImageCompression)] = [
            ([0x28, 0xB5, 0x2F, 0xFD], .zstd), ([0x1F, 0x8B], .gzip),
            ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0], .xz),
            ([0x42, 0x5A, 0x68], .bzip2), ([0x68, 0x73, 0x71, 0x73], .squashfs),
        ]
        return magics.first { head.starts(with: $0.0) }?.1 ?? .none
    }

    /// Adds the filter to a libarchive writer.
    func add(to archive: OpaquePointer) {
        let threads = String(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        switch self {
        case .zstd:
            archive_write_add_filter_zstd(archive)
            archive_write_set_filter_option(archive, "zstd", "compression-level", "3")
            // An older libarchive has no threads: it compresses as well, later.
            archive_write_set_filter_option(archive, "zstd", "threads", threads)
        case .gzip: archive_write_add_filter_gzip(archive)
        case .xz:
            archive_write_add_filter_xz(archive)
            archive_write_set_filter_option(archive, "xz", "threads", threads)
        case .bzip2: archive_write_add_filter_bzip2(archive)
        case .none, .squashfs: archive_write_add_filter_none(archive)
        }
    }
}
