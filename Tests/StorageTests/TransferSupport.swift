import CStorage
import Glibc
import LinuxSystem
import Storage
import Testing

/// The two ends of a transfer, connected as two daemons would connect them.
struct TransferPair {
    let sender: any VolumeSender
    let receiver: any VolumeReceiver

    /// Sends one pass and takes it in.
    @discardableResult
    func pass(_ pass: TransferPass) async throws -> (sent: PassReport, received: ReceivedPass) {
        let (source, sink) = try UnixSocket.pair(.stream)
        async let sent = sender.send(pass, over: source)
        async let received = receiver.receive(over: sink)
        return try await (sent, received)
    }

    /// What went wrong on each side of a pass between two sockets, while `body` runs.
    func failures(
        _ pass: TransferPass, _ source: FileDescriptor, _ sink: FileDescriptor,
        _ body: () async throws -> Void = {}
    ) async throws -> (sending: (any Error)?, receiving: (any Error)?) {
        let sending = Task { try await sender.send(pass, over: source) }
        let receiving = Task { try await receiver.receive(over: sink) }
        try await body()
        return (await Self.failure(sending.result), await Self.failure(receiving.result))
    }

    private static func failure<Success>(_ result: Result<Success, any Error>) -> (any Error)? {
        if case .failure(let error) = result { return error }
        return nil
    }

    /// Gives both up.
    func giveUp() async {
        await sender.end()
        await receiver.discard()
    }
}

extension TestPool {
    /// Both ends in one pool: `c1` becomes `c2`.
    func transfer(
        running: Bool = true, to sink: (any StorageDriver)? = nil, volume: Volume = .container("c2"),
        base: Volume? = nil, refreshes: Bool = false, processes: [Int32] = [getpid()],
        watches: Bool = true
    ) async throws -> TransferPair {
        var options = TransferOptions(TransferChoice(.tree))
        options.base = base
        options.refreshes = refreshes
        options.watches = watches
        let source: VolumeSource =
            running
            ? VolumeSource(running: .container("c1")) { processes } : VolumeSource(.container("c1"))
        return TransferPair(
            sender: try await driver.sender(source, options),
            receiver: try await (sink ?? driver).receiver(volume, options))
    }
}

/// Compares two trees in all there is to a file, byte by byte.
enum TreeComparison {
    /// What differs, in words. Access times are left out: comparing changes them.
    static func differences(_ one: String, _ other: String) throws -> [String] {
        let first = try Tree(one)
        let second = try Tree(other)
        var result: [String] = []
        for (path, entry) in first.entries {
            guard let there = second.entries[path] else {
                result.append("\(text(path)) is missing")
                continue
            }
            if entry.words != there.words {
                result.append("\(text(path)): \(entry.words) became \(there.words)")
            }
            if entry.data != there.data { result.append("\(text(path)): its data differs") }
        }
        for path in second.entries.keys where first.entries[path] == nil {
            result.append("\(text(path)) is too much")
        }
        for (path, group) in first.groups where second.groups[path] != group {
            result.append(
                "\(text(path)): links \(group.map(text)) became \(second.groups[path].map { $0.map(text) } ?? [])"
            )
        }
        return result.sorted()
    }

    private static func text(_ path: [UInt8]) -> String { String(decoding: path, as: UTF8.self) }

    private struct Entry {
        var words: String
        var data: [UInt8]
    }

    private struct Tree {
        var entries: [[UInt8]: Entry] = [:]
        /// The names of each file that has several, by each of them.
        var groups: [[UInt8]: [[UInt8]]] = [:]
        private var inodes: [UInt64: [[UInt8]]] = [:]

        init(_ root: String) throws {
            let top = try FileDescriptor.open(root, O_RDONLY | O_DIRECTORY)
            try add(top, [])
            for names in inodes.values where names.count > 1 {
                for name in names { groups[name] = names.sorted { $0.lexicographicallyPrecedes($1) } }
            }
        }

        private mutating func add(_ directory: FileDescriptor, _ path: [UInt8]) throws {
            entries[path] = Entry(words: try Self.words(directory.procPath, follow: true), data: [])
            for name in try names(directory) {
                let whole = path + [47] + name
                let pointer = name.map { CChar(bitPattern: $0) } + [0]
                var status = stat()
                guard fstatat(directory.rawValue, pointer, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
                    throw SystemError("fstatat", text(whole))
                }
                if status.st_mode & S_IFMT == S_IFDIR {
                    let below = FileDescriptor(
                        owning: openat(
                            directory.rawValue, pointer, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC))
                    try add(below, whole)
                    continue
                }
                if status.st_mode & S_IFMT == S_IFREG {
                    if status.st_nlink > 1 { inodes[UInt64(status.st_ino), default: []].append(whole) }
                    let file = FileDescriptor(
                        owning: openat(directory.rawValue, pointer, O_RDONLY | O_NOFOLLOW | O_CLOEXEC))
                    entries[whole] = Entry(
                        words: try Self.words(file.procPath, follow: true)
                            + " holes \(holes(file, status.st_size))",
                        data: status.st_size > 64 << 20 ? try ends(file, status.st_size) : try file.readAll())
                    continue
                }
                var target = [CChar](repeating: 0, count: 4096)
                let count = max(0, readlinkat(directory.rawValue, pointer, &target, target.count))
                let place = Array("\(directory.procPath)/".utf8) + name + [0]
                entries[whole] = Entry(
                    words: try place.withUnsafeBufferPointer {
                        try $0.withMemoryRebound(to: CChar.self) {
                            try Self.words($0.baseAddress, follow: false)
                        }
                    },
                    data: target[..<count].map { UInt8(bitPattern: $0) })
            }
        }

        private func names(_ directory: FileDescriptor) throws -> [[UInt8]] {
            guard let stream = fdopendir(dup(directory.rawValue)) else { throw SystemError("fdopendir", "") }
            defer { closedir(stream) }
            var result: [[UInt8]] = []
            while let entry = readdir(stream) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: UInt8.self, capacity: 256) {
                        Array(UnsafeBufferPointer(start: $0, count: strnlen($0, 256)))
                    }
                }
                if name != [46], name != [46, 46] { result.append(name) }
            }
            return result
        }

        private func strnlen(_ bytes: UnsafePointer<UInt8>, _ limit: Int) -> Int {
            (0..<limit).first { bytes[$0] == 0 } ?? limit
        }

        /// Holes of a page and more; smaller ones no file system promises to keep.
        private func holes(_ file: FileDescriptor, _ size: Int) -> [Int] {
            var result: [Int] = []
            var position = 0
            while position < size {
                let data = lseek(file.rawValue, position, 3)
                if data < 0 { return result + [position, size] }
                if data > position { result += [position, data] }
                position = lseek(file.rawValue, data, 4)
            }
            return result
        }

        private func ends(_ file: FileDescriptor, _ size: Int) throws -> [UInt8] {
            var result = try file.read(upTo: 1 << 20)
            lseek(file.rawValue, size - (1 << 20), SEEK_SET)
            result += try file.read(upTo: 1 << 20)
            return result
        }

        private static func words(_ path: String, follow: Bool) throws -> String {
            try path.withCString { try words($0, follow: follow) }
        }

        private static func words(_ path: UnsafePointer<CChar>?, follow: Bool) throws -> String {
            guard let path else { return "" }
            var status = stat()
            guard (follow ? stat(path, &status) : lstat(path, &status)) == 0 else {
                throw SystemError("stat", "")
            }
            let isDirectory = status.st_mode & S_IFMT == S_IFDIR
            var result = "mode \(String(status.st_mode, radix: 8)) owner \(status.st_uid):\(status.st_gid)"
            result += " time \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec) device \(status.st_rdev)"
            if !isDirectory { result += " size \(status.st_size)" }
            // Several names are kept of files, not of symlinks.
            if status.st_mode & S_IFMT == S_IFREG { result += " names \(status.st_nlink)" }
            return result + attributes(path, follow: follow)
        }

        private static func attributes(_ path: UnsafePointer<CChar>, follow: Bool) -> String {
            let file = follow ? Glibc.open(path, O_RDONLY | O_CLOEXEC) : -1
            defer { if file >= 0 { close(file) } }
            var list = [CChar](repeating: 0, count: 4096)
            let size =
                follow
                ? cstorage_flistxattr(file, &list, list.count) : cstorage_llistxattr(path, &list, list.count)
            guard size > 0 else { return "" }
            return list[..<size].split(separator: 0).map { Array($0) + [0] }.map { name in
                var value = [UInt8](repeating: 0, count: 70000)
                let length =
                    follow
                    ? cstorage_fgetxattr(file, name, &value, value.count)
                    : cstorage_lgetxattr(path, name, &value, value.count)
                return
                    " [\(name.map { UInt8(bitPattern: $0) })=\(value[..<max(0, length)].reduce(length) { $0 &* 31 &+ Int($1) })]"
            }.sorted().joined()
        }

        private func text(_ path: [UInt8]) -> String { String(decoding: path, as: UTF8.self) }
    }
}

/// A tree with what is odd, beside `TestTree`.
enum OddTree {
    static let odd: [CChar] = [111, 100, 100, -1, -2, 10, 0]

    static func make(_ root: String) throws {
        try TestTree.make(root)
        let directory = try FileDescriptor.open(root, O_RDONLY | O_DIRECTORY)
        mkdirat(directory.rawValue, odd, 0o755)
        let below = FileDescriptor(
            owning: openat(directory.rawValue, odd, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        let file = FileDescriptor(owning: openat(below.rawValue, odd, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600))
        try file.write("no text")
        linkat(below.rawValue, odd, directory.rawValue, "second", 0)
        symlinkat("to\nward", below.rawValue, "line\nbreak")
        // 4 GiB, with data at the beginning, in the middle and at the end.
        let sparse = try FileDescriptor.open(root + "/huge", O_WRONLY | O_CREAT, mode: 0o644)
        for offset in [0, 2 << 30, (4 << 30) - 4096] {
            pwrite(sparse.rawValue, TestTree.pattern(4096), 4096, offset)
        }
        let socket = try UnixSocket.listen(root + "/var/socket", .stream)
        socket.close()
        try Files.write(root + "/old", "before the beginning")
        TestTree.setTimes(root + "/old", -86400, 7)
        try Files.write(root + "/late", "far ahead")
        TestTree.setTimes(root + "/late", 7_258_118_400, 999_999_999)
        TestTree.set(root + "/late", "user.long", [UInt8](repeating: 7, count: 3000))
        if Host.isRoot {
            // rw for the user 1000, as setfacl writes it; the directory hands it down.
            let list: [UInt8] = [
                2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 6, 0, 0xe8, 3, 0, 0, 4, 0, 4, 0, 255, 255,
                255, 255,
                16, 0, 6, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255,
            ]
            TestTree.set(root + "/late", "system.posix_acl_access", list)
            try Files.makeDirectories(root + "/handed/down")
            TestTree.set(root + "/handed", "system.posix_acl_default", list)
            try Files.write(root + "/handed/down/plain", "without a list")
            try Files.write(root + "/handed/listed", "with a list")
            symlink("x", root + "/marked")
            TestTree.set(root + "/marked", "trusted.note", "on a symlink")
            mknod(root + "/var/disk", S_IFBLK | 0o660, 7 << 8 | 1)
        }
        var deep = root
        for _ in 0..<40 { deep += "/a-directory-with-a-rather-long-name-to-get-beyond-what-a-path-may-have" }
        try Files.makeDirectories(deep)
        try Files.write(deep + "/file", "deep down")
    }
}
