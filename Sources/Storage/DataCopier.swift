import CStorage
import Glibc

/// Copies what is in a file, by the cheapest way the file system offers. One for each worker: it owns a
/// buffer.
struct DataCopier: ~Copyable {
    /// Read and written at once; larger pieces go by copy_file_range.
    static let bufferSize = 256 << 10

    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: DataCopier.bufferSize, alignment: 4096)
    private let reflinks: Reflinks
    private(set) var bytes: UInt64 = 0

    init(reflinks: Reflinks) { self.reflinks = reflinks }

    deinit { buffer.deallocate() }

    /// Fills a new, empty file.
    mutating func fill(_ target: Int32, from source: Int32, stat: FileStat, path: UnsafePointer<CChar>) throws
    {
        guard stat.size > 0 else { return }
        if try reflinks.clone(source, to: target, path: path) {
            return
        }
        if stat.isSparse {
            try copyExtents(source, target, size: stat.size, path: path) { _, _ in }
        } else {
            try copyRange(source, target, from: 0, to: stat.size, path: path)
        }
    }

    /// Brings a file that was copied before up to date, in place: no truncation to nothing, which ext4
    /// answers by writing the file out at once.
    mutating func update(_ target: Int32, from source: Int32, stat: FileStat, path: UnsafePointer<CChar>)
        throws
    {
        if stat.size > 0, try reflinks.clone(source, to: target, path: path) {
            try posix(ftruncate(target, Int(stat.size)), "truncate", String(cString: path))
            return
        }
        if stat.isSparse {
            try copyExtents(source, target, size: stat.size, path: path) { offset, length in
                try checked(cstorage_punch_hole(target, offset, length), "punch hole", String(cString: path))
            }
        } else {
            try copyRange(source, target, from: 0, to: stat.size, path: path)
        }
        try posix(ftruncate(target, Int(stat.size)), "truncate", String(cString: path))
    }

    /// Copies the data of a file with holes, and hands each hole to `hole`.
    private mutating func copyExtents(
        _ source: Int32, _ target: Int32, size: Int64, path: UnsafePointer<CChar>,
        hole: (_ offset: Int64, _ length: Int64) throws -> Void
    ) throws {
        var position: Int64 = 0
        while position < size {
            var data = Int64(lseek(source, Int(position), Seek.data))
            if data < 0 {
                guard errno == ENXIO else { throw FileFailure("seek", String(cString: path), errno) }
                data = size
            }
            data = min(data, size)
            if data > position { try hole(position, data - position) }
            if data == size { break }
            let next = Int64(lseek(source, Int(data), Seek.hole))
            if next < 0 { throw FileFailure("seek", String(cString: path), errno) }
            let end = min(next, size)
            try copyRange(source, target, from: data, to: end, path: path)
            position = end
        }
        try posix(ftruncate(target, Int(size)), "truncate", String(cString: path))
    }

    /// Copies a range that has no holes. Ends early where the source has become shorter.
    private mutating func copyRange(
        _ source: Int32, _ target: Int32, from start: Int64, to end: Int64, path: UnsafePointer<CChar>
    ) throws {
        var position = start
        while position < end {
            let length = min(Int(end - position), buffer.count)
            var got: Int
            repeat {
                got = pread(source, buffer.baseAddress, length, Int(position))
            } while got < 0 && errno == EINTR
            if got < 0 { throw FileFailure("read", String(cString: path), errno) }
            if got == 0 { return }
            var written = 0
            while written < got {
                let result = pwrite(
                    target, buffer.baseAddress?.advanced(by: written), got - written, Int(position) + written)
                if result < 0 && errno == EINTR { continue }
                if result < 0 { throw FileFailure("write", String(cString: path), errno) }
                written += result
            }
            position += Int64(got)
            bytes += UInt64(got)
        }
    }
}

/// Whether a file system shares the blocks of copies, found out by the first file.
final class Reflinks: @unchecked Sendable {
    // One-way: a worker that still sees true only asks the kernel once more.
    private var supported = true

    /// Clones all of a file, or says that the file system cannot.
    func clone(_ source: Int32, to target: Int32, path: UnsafePointer<CChar>) throws -> Bool {
        guard supported else { return false }
        let result = cstorage_clone(target, source)
        switch -result {
        case 0:
            return true
        case EOPNOTSUPP, EXDEV, ENOTTY, EINVAL, ENOSYS, EPERM:
            supported = false
            return false
        case ETXTBSY:
            return false
        default:
            throw FileFailure("clone", String(cString: path), result)
        }
    }
}

/// lseek's words for files with holes.
private enum Seek {
    static let data: Int32 = 3
    static let hole: Int32 = 4
}
