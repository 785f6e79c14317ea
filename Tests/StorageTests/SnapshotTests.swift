import CStorage
import Glibc
import LinuxSystem
import Storage
import Testing

@Suite("Snapshots in two passes")
struct SnapshotTests {
    /// Takes a snapshot with `change` between the passes, and expects it to be what the container's files are
    /// now.
    private func expectExact(
        fill: (String) throws -> Void = TestTree.make, _ change: (String) throws -> Void
    ) async throws {
        try await TestPool.with(fill: fill) { pool in
            let session = try await pool.driver.beginSnapshot(of: "c1", named: "s")
            try change(pool.root("c1"))
            let expected = try TreeText.describe(pool.root("c1"))
            _ = try await session.finish()
            let actual = try TreeText.describe(pool.snapshot("s"))
            #expect(Set(actual).symmetricDifference(expected).sorted() == [])
            await pool.driver.settle()
            #expect(pool.leftovers.isEmpty)
        }
    }

    @Test("A pass can be made again and again, with changes of every kind between") func repeated()
        async throws
    {
        try await TestPool.with { pool in
            let root = pool.root("c1")
            let path = root + "/var/mapped"
            try Files.write(path, [UInt8](repeating: 1, count: 8192))
            let file = try FileDescriptor.open(path, O_RDWR)
            let memory = try #require(mmap(nil, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file.rawValue, 0))
            defer { munmap(memory, 8192) }
            let session = try await pool.driver.beginSnapshot(of: "c1", named: "s")
            for round in 0..<6 {
                memset(memory, Int32(round), 8192)
                try Files.makeDirectories(root + "/new\(round)/below")
                try Files.write(root + "/new\(round)/below/file", "round \(round)")
                link(root + "/new\(round)/below/file", root + "/new\(round)/second")
                try Files.write(root + "/etc/deep/er/file", "round \(round)")
                if round > 1 {
                    try removeTree(root + "/new\(round - 2)")
                    rename(root + "/new\(round - 1)/below", root + "/new\(round)/moved")
                    try Files.write(root + "/new\(round)/moved/file", "changed after it was moved \(round)")
                }
                _ = try await session.update()
            }
            // What changed in the last tick of the clock is not trusted, and symlinks of that moment are made again.
            try await Task.sleep(for: .milliseconds(50))
            _ = try await session.update()
            let expected = try TreeText.describe(root)
            let last = try await session.update()
            #expect(last.removed == 0)
            try await session.commit()
            let actual = try TreeText.describe(pool.snapshot("s"))
            #expect(Set(actual).symmetricDifference(expected).sorted() == [])
        }
    }

    @Test("Nothing has changed") func nothing() async throws {
        try await expectExact { _ in }
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
            _ = cstorage_fremovexattr(
                try FileDescriptor.open(root + "/etc/passwd", O_RDONLY).rawValue, "user.note")
        }
    }

    @Test("A file is overwritten in place, keeping its size and its time of change")
    func sameSize() async throws {
        try await expectExact { root in
            var before = stat()
            stat(root + "/var/large", &before)
            let file = try FileDescriptor.open(root + "/var/large", O_WRONLY)
            _ = pwrite(file.rawValue, "XXXX", 4, 1 << 19)
            TestTree.setTimes(root + "/var/large", before.st_mtim.tv_sec, before.st_mtim.tv_nsec)
        }
    }

    @Test("Entries come, go, and change what they are") func names() async throws {
        try await expectExact { root in
            unlink(root + "/etc/empty")
            try removeTree(root + "/etc/deep")
            try Files.makeDirectories(root + "/new/tree/of")
            try Files.write(root + "/new/tree/of/files", "new")
            try Files.write(root + "/new/large", TestTree.pattern(2 << 20))
            symlink("tree", root + "/new/link")
            unlink(root + "/etc/dangling")
            try Files.makeDirectories(root + "/etc/dangling/now-a-directory")
            try removeTree(root + "/var/log")
            symlink("/tmp", root + "/var/log")
            unlink(root + "/etc/absolute")
            try Files.write(root + "/etc/absolute", "now a file")
            mkfifo(root + "/new/fifo", 0o600)
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
        }
    }

    @Test("Names that are no text are kept byte by byte") func names8Bit() async throws {
        let odd: [CChar] = [111, 100, 100, -1, -2, 10, 0]
        try await TestPool.with(fill: { root in
            let directory = try FileDescriptor.open(root, O_RDONLY | O_DIRECTORY)
            mkdirat(directory.rawValue, odd, 0o755)
            let below = openat(directory.rawValue, odd, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            close(openat(below, odd, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600))
            linkat(below, odd, directory.rawValue, "second", 0)
            close(below)
        }) { pool in
            let session = try await pool.driver.beginSnapshot(of: "c1", named: "s")
            let directory = try FileDescriptor.open(pool.root("c1"), O_RDONLY | O_DIRECTORY)
            let below = FileDescriptor(
                owning: openat(directory.rawValue, odd, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
            linkat(below.rawValue, odd, below.rawValue, "third", 0)
            let file = FileDescriptor(owning: openat(below.rawValue, odd, O_WRONLY | O_CLOEXEC))
            try file.write("changed")
            _ = try await session.finish()
            let copy = try FileDescriptor.open(pool.snapshot("s"), O_RDONLY | O_DIRECTORY)
            let copied = FileDescriptor(
                owning: openat(copy.rawValue, odd, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
            let content = FileDescriptor(owning: openat(copied.rawValue, odd, O_RDONLY | O_CLOEXEC))
            #expect(try content.readAll() == Array("changed".utf8))
            #expect(try content.status().st_nlink == 3)
            try await pool.driver.delete(.container("c1"))
        }
    }

    @Test("Hard links are made, broken and moved") func hardLinks() async throws {
        try await expectExact { root in
            link(root + "/var/large", root + "/var/large-too")
            link(root + "/etc/passwd", root + "/etc/deep/passwd")
            unlink(root + "/etc/linked")
            try Files.write(root + "/etc/linked", "a file of its own")
            rename(root + "/var/linked-too", root + "/etc/deep/linked-too")
        }
    }

    @Test("A link is broken and both files are written") func brokenLink() async throws {
        try await expectExact { root in
            unlink(root + "/var/linked-too")
            try Files.write(root + "/var/linked-too", "new inode, other content")
            try Files.write(root + "/etc/linked", "old inode, other content")
        }
    }

    @Test("Holes are cut into a file and filled") func holes() async throws {
        try await expectExact { root in
            let file = try FileDescriptor.open(root + "/var/large", O_WRONLY)
            _ = cstorage_punch_hole(file.rawValue, 1 << 18, 1 << 19)
            let sparse = try FileDescriptor.open(root + "/var/sparse", O_WRONLY)
            _ = pwrite(sparse.rawValue, TestTree.pattern(65536), 65536, 1 << 20)
        }
    }

    @Test("A directory is replaced by another of the same name") func replacedDirectory() async throws {
        try await expectExact { root in
            try Files.makeDirectories(root + "/etc/deep2/er")
            try Files.write(root + "/etc/deep2/er/file", "another")
            try removeTree(root + "/etc/deep")
            rename(root + "/etc/deep2", root + "/etc/deep")
        }
    }

    @Test("Stores into a mapping whose page is dirty already are not missed")
    func mapping() async throws {
        try await TestPool.with { pool in
            let path = pool.root("c1") + "/var/mapped"
            try Files.write(path, [UInt8](repeating: 1, count: 65536))
            let file = try FileDescriptor.open(path, O_RDWR)
            let memory = try #require(
                mmap(nil, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, file.rawValue, 0))
            defer { munmap(memory, 65536) }
            // Dirty, and mapped writable, before the first pass.
            memset(memory, 2, 65536)
            let session = try await pool.driver.beginSnapshot(of: "c1", named: "s")
            memset(memory, 3, 65536)
            _ = try await session.finish()
            #expect(try Files.bytes(pool.snapshot("s") + "/var/mapped").allSatisfy { $0 == 3 })
        }
    }

    @Test("Writers at work during the first pass do not disturb it")
    func concurrentWriters() async throws {
        try await TestPool.with(fill: { root in
            for directory in 0..<20 {
                try Files.makeDirectories("\(root)/d\(directory)")
                for file in 0..<20 { try Files.write("\(root)/d\(directory)/f\(file)", "old") }
            }
        }) { pool in
            let root = pool.root("c1")
            let stop = Flag()
            // A task cannot keep a thread for itself in a small pool; this one yields after each change.
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    var round = 0
                    while !stop.isSet {
                        let directory = "\(root)/d\(round % 20)"
                        try Files.replace(
                            "\(directory)/f\(round % 20)", Array("round \(round)".utf8), sync: false)
                        unlink("\(directory)/f\((round + 7) % 20)")
                        rename("\(directory)/f\((round + 3) % 20)", "\(directory)/g\(round % 20)")
                        round += 1
                        await Task.yield()
                    }
                }
                let session = try await pool.driver.beginSnapshot(of: "c1", named: "s")
                stop.set()
                try await group.waitForAll()
                let expected = try TreeText.describe(root)
                _ = try await session.finish()
                #expect(try TreeText.describe(pool.snapshot("s")) == expected)
            }
        }
    }

    @Test("Only what has changed is copied in the second pass") func reports() async throws {
        try await TestPool.with { pool in
            // Times of the last tick are not trusted.
            try await Task.sleep(for: .milliseconds(50))
            let session = try await pool.driver.beginSnapshot(of: "c1", named: "s")
            let file = try FileDescriptor.open(pool.root("c1") + "/etc/passwd", O_WRONLY)
            try file.write("R")
            let report = try await session.finish()
            // Where blocks are shared, none are written.
            let sharesBlocks = session.firstPass.bytes == 0
            #expect(sharesBlocks || session.firstPass.bytes > 1 << 20)
            #expect(report.entries == session.firstPass.entries)
            #expect(report.copied == 1)
            #expect(report.bytes == (sharesBlocks ? 0 : 26))
        }
    }

    @Test("A session that is cancelled or finished leaves nothing, and cannot be used again")
    func ends() async throws {
        try await TestPool.with { pool in
            let cancelled = try await pool.driver.beginSnapshot(of: "c1", named: "s")
            await cancelled.cancel()
            #expect(!pool.driver.exists(.snapshot(container: "c1", name: "s")))
            #expect(pool.leftovers.isEmpty)
            await #expect(throws: StorageError.self) { try await cancelled.finish() }
            let finished = try await pool.driver.beginSnapshot(of: "c1", named: "s")
            _ = try await finished.finish()
            await finished.cancel()
            #expect(pool.driver.exists(.snapshot(container: "c1", name: "s")))
            await #expect(throws: StorageError.self) { try await finished.finish() }
            await #expect(throws: StorageError.self) {
                _ = try await pool.driver.beginSnapshot(of: "c1", named: "s")
            }
        }
    }

    @Test("Two sessions of the same name: the first to finish has it") func race() async throws {
        try await TestPool.with { pool in
            let one = try await pool.driver.beginSnapshot(of: "c1", named: "s")
            let two = try await pool.driver.beginSnapshot(of: "c1", named: "s")
            _ = try await one.finish()
            await #expect(throws: StorageError.self) { try await two.finish() }
            #expect(pool.driver.exists(.snapshot(container: "c1", name: "s")))
            await pool.driver.settle()
            #expect(pool.leftovers.isEmpty)
        }
    }
}
