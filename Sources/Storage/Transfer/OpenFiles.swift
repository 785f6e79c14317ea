import CStorage
import Glibc
import LinuxSystem

/// The files that a container's processes may write to without a word from the kernel: those mapped writable and
/// shared (journald's), and those open for writing (asynchronous I/O is not told).
struct OpenFiles {
    /// By inode, with the path the processes know them by: no more than a hint.
    private(set) var files: [UInt64: FileName] = [:]
    /// The device of the volume, as stat tells it; nil: any (the two places tell btrfs's differently).
    private let device: UInt64?
    private var text: [UInt8] = []

    /// Looks at processes. Those that end meanwhile have closed their files, which is told.
    init(of processes: [pid_t], device: UInt64?) {
        self.device = device
        for process in processes {
            addMappings(of: process)
            addDescriptors(of: process)
        }
        text = []
    }

    private mutating func addMappings(of process: pid_t) {
        guard let file = try? FileDescriptor.open("/proc/\(process)/maps", O_RDONLY) else { return }
        text.removeAll(keepingCapacity: true)
        while let part = try? file.read(upTo: 256 << 10), !part.isEmpty {
            if text.isEmpty { text = part } else { text.append(contentsOf: part) }
        }
        var start = 0
        text.withUnsafeBytes { text in
            while start < text.count, let base = text.baseAddress {
                let rest = text.count - start
                let length =
                    memchr(base + start, 10, rest).map { base.distance(to: UnsafeRawPointer($0)) - start }
                    ?? rest
                addMapping(UnsafeRawBufferPointer(rebasing: text[start..<(start + length)]))
                start += length + 1
            }
        }
    }

    /// A line such as `7f2c8b400000-7f2c8bc00000 rw-s 00000000 fe:00 264311   /var/log/journal/…`.
    private mutating func addMapping(_ line: UnsafeRawBufferPointer) {
        guard let space = line.firstIndex(of: 32), space + 4 < line.count,
            line[space + 2] == UInt8(ascii: "w"), line[space + 4] == UInt8(ascii: "s")
        else { return }
        let words = line[space...].split(separator: 32, maxSplits: 4)
        guard words.count == 5, let inode = UInt64(String(decoding: words[3], as: UTF8.self)), inode > 0
        else {
            return
        }
        let number = words[2].split(separator: UInt8(ascii: ":"))
        guard number.count == 2, let major = UInt64(String(decoding: number[0], as: UTF8.self), radix: 16),
            let minor = UInt64(String(decoding: number[1], as: UTF8.self), radix: 16),
            device == nil || device == major << 32 | minor
        else { return }
        files[inode] = FileName(bytes: words[4].drop { $0 == 32 || $0 == UInt8(ascii: "/") })
    }

    private mutating func addDescriptors(of process: pid_t) {
        guard let directory = try? FileDescriptor.open("/proc/\(process)/fd", O_RDONLY | O_DIRECTORY) else {
            return
        }
        withUnsafeTemporaryAllocation(byteCount: 32 << 10, alignment: 16) { buffer in
            try? forEachEntry(of: directory.rawValue, buffer: buffer, path: "") { name, _ in
                var link = stat()
                // The link's own mode tells how the file was opened.
                guard fstatat(directory.rawValue, name, &link, AT_SYMLINK_NOFOLLOW) == 0,
                    link.st_mode & S_IWUSR != 0
                else { return }
                var file = FileStat()
                guard cstorage_stat_behind(directory.rawValue, name, &file) == 0, file.isRegular,
                    device == nil || device == file.dev
                else { return }
                var path = [CChar](repeating: 0, count: 4096)
                let count = readlinkat(directory.rawValue, name, &path, path.count)
                if count <= 0 { return }
                files[file.ino] = FileName(
                    bytes: path[..<count].map { UInt8(bitPattern: $0) }.drop { $0 == UInt8(ascii: "/") })
            }
        }
    }
}
