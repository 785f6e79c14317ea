import CStorage
import Glibc
import LinuxSystem
import Storage
import Synchronization
import Testing

/// Conditions of tests that need more than an ordinary user may do.
enum Host {
    static let isRoot = geteuid() == 0
}

/// Set once, seen by other tasks.
final class Flag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}

/// A pool in a directory that goes away with the test.
struct TestPool {
    let base: String
    let driver: DirDriver

    /// Runs `body` with a pool that holds the container `c1`, filled by `fill` with its root file system.
    static func with(
        at parent: String? = nil, fill: (String) throws -> Void = TestTree.make,
        _ body: (TestPool) async throws -> Void
    ) async throws {
        let parent = parent ?? Environment.value("TMPDIR") ?? "/var/tmp"
        let base = "\(parent)/apus-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try Files.makeDirectories(base, mode: 0o700)
        // Not all names in it are text.
        defer { try? TreeRemover.remove(base) }
        let pool = TestPool(base: base, driver: DirDriver(path: base + "/pool"))
        try await pool.driver.createPool()
        try await pool.driver.create(.container("c1")) { directory in
            try Files.makeDirectories(directory + "/rootfs")
        }
        try fill(pool.root("c1"))
        try await body(pool)
    }

    /// The root file system of a container.
    func root(_ container: String) -> String { driver.rootfs(of: .container(container)) }

    /// The root file system of a snapshot of `c1`.
    func snapshot(_ name: String) -> String { driver.rootfs(of: .snapshot(container: "c1", name: name)) }

    /// What lies in the pool's staging room, where nothing may be left.
    var leftovers: [String] { (try? Files.names(in: driver.poolPath + "/staging")) ?? [] }
}

/// A tree with one of everything a container may have in its files.
enum TestTree {
    static func make(_ root: String) throws {
        try Files.makeDirectories(root + "/etc/deep/er")
        try Files.makeDirectories(root + "/var/log")
        try Files.write(root + "/etc/passwd", "root:x:0:0::/root:/bin/sh\n", mode: 0o644)
        try Files.write(root + "/etc/empty", "", mode: 0o600)
        try Files.write(root + "/etc/deep/er/file", "deep", mode: 0o640)
        try Files.write(root + "/etc/linked", "two names", mode: 0o644)
        link(root + "/etc/linked", root + "/var/linked-too")
        symlink("/etc/shadow", root + "/etc/absolute")
        symlink("nowhere", root + "/etc/dangling")
        mkfifo(root + "/var/fifo", 0o620)
        try Files.write(root + "/var/large", pattern(5 << 18), mode: 0o644)
        try sparse(root + "/var/sparse")
        set(root + "/etc/passwd", "user.note", "kept")
        setTimes(root + "/etc/passwd", 1_000_000_000, 123_456_789)
        if Host.isRoot {
            mknod(root + "/var/null", S_IFCHR | 0o666, 1 << 8 | 3)
            chown(root + "/etc/deep/er/file", 1000, 1001)
            chmod(root + "/etc/deep/er/file", 0o4750)
            lchown(root + "/etc/dangling", 33, 33)
            // cap_net_raw=ep, as ping has it.
            set(
                root + "/etc/empty", "security.capability",
                [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        }
        chmod(root + "/var/log", 0o2775)
        setTimes(root + "/etc/deep", 1_100_000_000, 5)
    }

    /// Bytes that differ from place to place.
    static func pattern(_ count: Int) -> [UInt8] {
        let words = (0..<count / 8).map { UInt64($0) &* 0x9e37_79b9_7f4a_7c15 }
        return words.withUnsafeBytes { Array($0) }
    }

    /// 2 MiB, of which the first, some in the middle and the last block are written.
    private static func sparse(_ path: String) throws {
        let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT, mode: 0o644)
        for offset in [0, 3 << 18, (2 << 20) - 4096] {
            let block = pattern(4096)
            _ = pwrite(file.rawValue, block, block.count, offset)
        }
    }

    static func set(_ path: String, _ name: String, _ value: String) { set(path, name, Array(value.utf8)) }

    static func set(_ path: String, _ name: String, _ value: [UInt8]) {
        _ = cstorage_lsetxattr(path, name, value, value.count)
    }

    static func setTimes(_ path: String, _ seconds: Int, _ nanoseconds: Int) {
        let time = timespec(tv_sec: seconds, tv_nsec: nanoseconds)
        utimensat(AT_FDCWD, path, [time, time], AT_SYMLINK_NOFOLLOW)
    }
}

/// A tree put into words, line by line, to compare two of them.
enum TreeText {
    static func describe(_ root: String, times: Bool = true) throws -> [String] {
        var inodes: [UInt64: String] = [:]
        var lines: [String] = []
        try describe(root, ".", times: times, &inodes, &lines)
        return lines
    }

    private static func describe(
        _ root: String, _ path: String, times: Bool, _ inodes: inout [UInt64: String], _ lines: inout [String]
    ) throws {
        let whole = root + "/" + path
        var status = stat()
        if lstat(whole, &status) != 0 { throw SystemError("lstat", whole) }
        let type = status.st_mode & S_IFMT
        if type == S_IFSOCK { return }
        var line = "\(path) \(String(status.st_mode, radix: 8)) \(status.st_uid):\(status.st_gid)"
        if times { line += " \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)" }
        switch type {
        case S_IFREG:
            line += " size \(status.st_size) \(hash(try Files.bytes(whole)))"
            if status.st_nlink > 1 {
                let first = inodes[UInt64(status.st_ino)] ?? path
                inodes[UInt64(status.st_ino)] = first
                line += " = \(first)"
            }
            if Int(status.st_blocks) * 512 < status.st_size { line += " sparse" }
        case S_IFLNK: line += " -> \(try Files.readLink(whole))"
        case S_IFCHR, S_IFBLK: line += " device \(status.st_rdev)"
        default: break
        }
        lines.append(line + attributes(whole))
        if type == S_IFDIR {
            for name in try Files.names(in: whole).sorted() {
                try describe(root, path + "/" + name, times: times, &inodes, &lines)
            }
        }
    }

    private static func attributes(_ path: String) -> String {
        var list = [CChar](repeating: 0, count: 4096)
        let size = cstorage_llistxattr(path, &list, list.count)
        guard size > 0 else { return "" }
        let names = list[..<Int(size)].split(separator: 0).map {
            String(decoding: $0.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        return names.sorted().map { name in
            var value = [UInt8](repeating: 0, count: 4096)
            let length = cstorage_lgetxattr(path, name, &value, value.count)
            return " [\(name)=\(value[..<max(0, Int(length))])]"
        }.joined()
    }

    private static func hash(_ bytes: [UInt8]) -> UInt64 {
        bytes.withUnsafeBytes { room in
            var result: UInt64 = 14_695_981_039_346_656_037
            var offset = 0
            while offset + 8 <= room.count {
                result =
                    (result ^ room.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                    &* 1_099_511_628_211
                result ^= result >> 29
                offset += 8
            }
            while offset < room.count {
                result = (result ^ UInt64(room[offset])) &* 1_099_511_628_211
                offset += 1
            }
            return result
        }
    }
}
