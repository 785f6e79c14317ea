import CStorage
import Glibc
import LinuxSystem
import Storage
import Testing

@Suite(
    "Moving volumes entry by entry", .enabled(if: Host.isRoot, "only root sees all of a container's files"))
struct TransferTests {
    /// Moves `c1` with `change` after the first pass (and a pass between), and expects the copy to be what it is then.
    private func expectExact(
        rounds: [@Sendable (String) throws -> Void], fill: (String) throws -> Void = OddTree.make
    ) async throws {
        // As the kernel tells, and where it cannot: by looking at every file.
        for watches in [true, false] { try await expectExact(rounds: rounds, fill: fill, watches: watches) }
    }

    private func expectExact(
        rounds: [@Sendable (String) throws -> Void], fill: (String) throws -> Void, watches: Bool
    ) async throws {
        try await TestPool.with(fill: fill) { pool in
            let pair = try await pool.transfer(watches: watches)
            try await pair.pass(.first)
            for change in rounds {
                try change(pool.root("c1"))
                try await pair.pass(.update)
            }
            try rounds.last?(pool.root("c1"))
            try await pair.pass(.last)
            await pair.sender.end()
            try await pair.receiver.install()
            let differences = try TreeComparison.differences(pool.root("c1"), pool.root("c2"))
            #expect(differences == [])
            #expect(pair.receiver.directory == pool.driver.directory(of: .container("c2")))
            await pool.driver.settle()
            #expect(pool.leftovers.isEmpty)
        }
    }

    private func expectExact(_ change: @escaping @Sendable (String) throws -> Void) async throws {
        try await expectExact(rounds: [{ _ in }, change])
    }

    @Test("Everything odd arrives as it is") func odd() async throws {
        try await expectExact(rounds: [])
    }

    @Test("Nothing has changed: nothing is sent") func nothing() async throws {
        try await TestPool.with(fill: OddTree.make) { pool in
            let pair = try await pool.transfer()
            try await pair.pass(.first)
            try await pair.pass(.update)
            let (sent, received) = try await pair.pass(.last)
            #expect(sent.bytes == 0)
            #expect(sent.copied == 0)
            #expect(received.pass == .last)
            await pair.giveUp()
        }
    }

    @Test("Files have changed in every way") func changes() async throws {
        try await expectExact { root in
            try Files.write(root + "/etc/passwd", "shorter")
            let log = try FileDescriptor.open(root + "/var/large", O_WRONLY | O_APPEND)
            try log.write("more")
            truncate(root + "/var/sparse", 1 << 20)
            try Files.write(root + "/etc/empty", "no longer")
            chmod(root + "/etc/deep/er/file", 0o600)
            TestTree.set(root + "/etc/deep/er/file", "user.new", "attribute")
            chown(root + "/var/log", 12, 13)
            chmod(root + "/var/fifo", 0o600)
            TestTree.setTimes(root + "/etc/dangling", 1_234_567_890, 1)
        }
    }

    @Test("Holes are cut and filled") func holes() async throws {
        try await expectExact { root in
            let file = try FileDescriptor.open(root + "/var/large", O_WRONLY)
            _ = cstorage_punch_hole(file.rawValue, 1 << 18, 1 << 19)
            let sparse = try FileDescriptor.open(root + "/var/sparse", O_WRONLY)
            pwrite(sparse.rawValue, TestTree.pattern(65536), 65536, 1 << 20)
            _ = cstorage_punch_hole(sparse.rawValue, 0, 4096)
        }
    }

    @Test("Entries come, go, and change what they are") func names() async throws {
        try await expectExact { root in
            unlink(root + "/etc/empty")
            try removeTree(root + "/etc/deep")
            try Files.makeDirectories(root + "/new/tree/of")
            try Files.write(root + "/new/tree/of/files", "new")
            symlink("tree", root + "/new/link")
            unlink(root + "/etc/dangling")
            try? removeTree(root + "/etc/dangling")
            try Files.makeDirectories(root + "/etc/dangling/now-a-directory")
            try removeTree(root + "/var/log")
            symlink("/tmp", root + "/var/log")
            unlink(root + "/etc/absolute")
            try Files.write(root + "/etc/absolute", "now a file")
            mkfifo(root + "/new/fifo", 0o600)
            try Files.write(root + "/handed/later", "takes its list from the directory")
        }
    }

    @Test("Files and directories are renamed, also over others") func renames() async throws {
        try await expectExact { root in
            rename(root + "/etc/passwd", root + "/etc/passwd-")
            rename(root + "/etc/deep", root + "/var/deep")
            rename(root + "/var/large", root + "/etc/empty")
            rename(root + "/etc", root + "/etc2")
            try Files.makeDirectories(root + "/etc")
            try Files.write(root + "/etc/.new", "replaced at once")
            rename(root + "/etc/.new", root + "/etc/passwd")
            try? Files.write(root + "/var/deep/er/file", "changed where it is now")
        }
    }

    @Test("Hard links are made, broken, moved and written through") func hardLinks() async throws {
        try await expectExact(rounds: [
            { root in
                link(root + "/var/large", root + "/var/large-too")
                link(root + "/etc/passwd", root + "/etc/deep/passwd")
                unlink(root + "/etc/linked")
                try Files.write(root + "/etc/linked", "a file of its own")
                rename(root + "/var/linked-too", root + "/etc/deep/linked-too")
                try Files.write(root + "/made", "made later")
                try Files.makeDirectories(root + "/later")
                try Files.write(root + "/later/alone", "not for long")
            },
            { root in
                link(root + "/made", root + "/made-too")
                link(root + "/later/alone", root + "/etc/no-longer-alone")
            },
            { root in
                let file = try FileDescriptor.open(root + "/var/large-too", O_WRONLY)
                pwrite(file.rawValue, "XXXX", 4, 1 << 19)
                try Files.write(root + "/made-too", "through another name")
                unlink(root + "/etc/deep/passwd")
                link(root + "/second", root + "/third")
            },
        ])
    }

    @Test("Stores into a mapping are not missed, and only its changed pages are sent") func mapping()
        async throws
    {
        try await TestPool.with { pool in
            let size = 8 << 20
            let path = pool.root("c1") + "/var/mapped"
            try Files.write(path, TestTree.pattern(size))
            let file = try FileDescriptor.open(path, O_RDWR)
            let memory = try #require(mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.rawValue, 0))
            defer { munmap(memory, size) }
            file.close()
            let pair = try await pool.transfer()
            memset(memory, 1, 4096)
            try await pair.pass(.first)
            for round in 0..<5 {
                memset(memory + round * 16384, Int32(round + 2), 4096)
                let (sent, _) = try await pair.pass(round < 4 ? .update : .last)
                #expect(sent.bytes <= 3 * 4096)
            }
            let (again, _) = try await pair.pass(.again)
            #expect(again.bytes == 0)
            try await pair.receiver.install()
            let differences = try TreeComparison.differences(pool.root("c1"), pool.root("c2"))
            #expect(differences == [])
            await pair.sender.end()
        }
    }

    @Test("Writers of all kinds run during the passes") func writers() async throws {
        try await TestPool.with(fill: OddTree.make) { pool in
            let root = pool.root("c1")
            let pair = try await pool.transfer()
            let stop = Flag()
            try await withThrowingTaskGroup(of: Void.self) { group in
                defer { stop.set() }
                for number in 0..<2 {
                    group.addTask {
                        // On threads of their own: those of concurrency are needed for the transfer.
                        try await Blocking.run {
                            var writer = try BusyWriter(root, number)
                            while !stop.isSet {
                                try writer.step()
                                usleep(100)
                            }
                        }
                    }
                }
                try await pair.pass(.first)
                for _ in 0..<4 { try await pair.pass(.update) }
                stop.set()
                try await group.waitForAll()
            }
            try await pair.pass(.last)
            await pair.sender.end()
            try await pair.receiver.install()
            let differences = try TreeComparison.differences(root, pool.root("c2"))
            #expect(differences == [])
        }
    }

    @Test("What is here already is not sent: a base, and a volume that is refreshed") func differences()
        async throws
    {
        try await TestPool.with(fill: OddTree.make) { pool in
            try await pool.driver.copy(.container("c1"), to: .image(fingerprint: "f"))
            let root = pool.root("c1")
            try Files.write(root + "/etc/new", "since then")
            unlink(root + "/etc/empty")
            try removeTree(root + "/etc/deep")
            try Files.write(root + "/etc/deep", "was a directory")
            chmod(root + "/var/large", 0o600)
            let pair = try await pool.transfer(running: false, base: .image(fingerprint: "f"))
            let (sent, _) = try await pair.pass(.first)
            // The names of files with several are sent again.
            #expect(sent.bytes < 200)
            try await pair.receiver.install()
            #expect(try TreeComparison.differences(root, pool.root("c2")) == [])
            try Files.write(root + "/etc/new", "once more")
            let again = try await pool.transfer(running: false, refreshes: true)
            try await again.pass(.first)
            try await again.receiver.install()
            #expect(try TreeComparison.differences(root, pool.root("c2")) == [])
            await pool.driver.settle()
            #expect(pool.leftovers.isEmpty)
        }
    }

    @Test("A stream that is cut leaves nothing, and both sides say so") func cut() async throws {
        try await TestPool.with(fill: OddTree.make) { pool in
            for limit in [0, 1, 3, 100, 5000, 70_000, 400_000, 1_300_000] {
                let pair = try await pool.transfer()
                let (source, near) = try UnixSocket.pair(.stream)
                let (far, sink) = try UnixSocket.pair(.stream)
                let relay = Relay(near, far, limit: limit)
                let (sending, receiving) = try await pair.failures(.first, source, sink) { await relay.run() }
                #expect(sending is StorageError)
                #expect(receiving is StorageError)
                await pair.giveUp()
                #expect(!pool.driver.exists(.container("c2")))
                #expect(pool.leftovers.isEmpty)
            }
        }
    }

    @Test("A cancelled transfer ends on both sides") func cancelled() async throws {
        try await TestPool.with { pool in
            let pair = try await pool.transfer()
            let (source, sink) = try UnixSocket.pair(.stream)
            let receiving = Task { try await pair.receiver.receive(over: sink) }
            receiving.cancel()
            await #expect(throws: CancellationError.self) { _ = try await receiving.value }
            await #expect(throws: StorageError.self) { try await pair.sender.send(.first, over: source) }
            await pair.giveUp()
            #expect(pool.leftovers.isEmpty)
        }
    }

    @Test("The sink's failure is told to the source") func refused() async throws {
        try await TestPool.with { pool in
            let pair = try await pool.transfer()
            let place = try #require(
                pool.leftovers.first.map { pool.driver.poolPath + "/staging/\($0)/volume" })
            try Files.makeDirectories(place + "/rootfs/etc")
            mkdir(place + "/rootfs/etc/passwd", 0o700)
            setImmutable(place + "/rootfs/etc/passwd", true)

            let (source, sink) = try UnixSocket.pair(.stream)
            let (sending, receiving) = try await pair.failures(.first, source, sink)
            #expect(receiving is StorageError)
            let words = (sending as? StorageError)?.message ?? ""
            #expect(
                words.contains("cannot send container c1: the other side says: cannot receive container c2"))
            #expect(words.contains("rootfs/etc/passwd"))
            setImmutable(place + "/rootfs/etc/passwd", false)
            await pair.giveUp()
        }
    }
}

/// Passes bytes on in both directions, up to a limit for those of the first.
struct Relay {
    let near: FileDescriptor
    let far: FileDescriptor
    let limit: Int

    init(_ near: FileDescriptor, _ far: FileDescriptor, limit: Int) {
        self.near = near
        self.far = far
        self.limit = limit
    }

    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await copy(near, far, limit) }
            group.addTask { await copy(far, near, .max) }
        }
        near.close()
        far.close()
    }

    private func copy(_ from: FileDescriptor, _ to: FileDescriptor, _ limit: Int) async {
        var rest = limit
        while rest > 0 {
            guard (try? await from.readable()) != nil, let bytes = try? from.read(upTo: min(65536, rest)),
                !bytes.isEmpty
            else { break }
            rest -= bytes.count
            guard
                bytes.withUnsafeBytes({ cstorage_send(to.rawValue, $0.baseAddress, $0.count) }) == bytes.count
            else { break }
        }
        shutdown(from.rawValue, Int32(SHUT_RDWR))
        shutdown(to.rawValue, Int32(SHUT_RDWR))
    }
}

/// Sets or clears the flag that lets nobody change a file.
func setImmutable(_ path: String, _ on: Bool) {
    let process = try? Spawn(["chattr", on ? "+i" : "-i", path]).start()
    _ = try? process?.waitBlocking()
}

/// Changes a tree in all ways, deterministically but for the time it is given.
struct BusyWriter {
    private let root: String
    private let mapped: UnsafeMutableRawPointer
    private let log: FileDescriptor
    private var random: UInt64
    private static let size = 1 << 20

    init(_ tree: String, _ number: Int) throws {
        root = tree + "/busy\(number)"
        random = UInt64(number) &+ 0x1234_5678_9abc_def1
        try Files.makeDirectories(root + "/d0")
        try Files.write(root + "/mapped", TestTree.pattern(Self.size))
        let file = try FileDescriptor.open(root + "/mapped", O_RDWR)
        guard let memory = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, file.rawValue, 0) else {
            throw SystemError("mmap", "map a file")
        }
        mapped = memory
        log = try FileDescriptor.open(root + "/log", O_WRONLY | O_CREAT | O_APPEND)
    }

    private mutating func next(_ limit: Int) -> Int {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        return Int(random % UInt64(limit))
    }

    mutating func step() throws {
        let (one, two) = (root + "/d\(next(6))", root + "/d\(next(6))")
        let (file, other) = ("f\(next(8))", "f\(next(8))")
        switch next(12) {
        case 0: mkdir(one, mode_t(0o700 + next(64)))
        case 1: rename(one, two)
        case 2: try? Files.write(one + "/" + file, "content \(next(1000))")
        case 3: unlink(one + "/" + file)
        case 4: link(one + "/" + file, two + "/" + other)
        case 5: rename(one + "/" + file, two + "/" + other)
        case 6: memset(mapped + next(Self.size / 64) * 64, Int32(next(256)), 64)
        case 7: try log.write("line \(next(1000))\n")
        case 8: chmod(one + "/" + file, mode_t(next(0o777)))
        case 9: symlink(other, one + "/" + file)
        case 10: try? removeTree(two)
        default:
            if let open = try? FileDescriptor.open(one + "/" + file, O_WRONLY) {
                pwrite(open.rawValue, "patch", 5, next(20000))
            }
        }
    }
}
