import Glibc
import LinuxSystem
import Storage
import Testing

@Suite("Volumes of a dir pool")
struct DriverTests {
    @Test("A volume that cannot be filled is not there")
    func failedCreation() async throws {
        struct Stop: Error {}
        try await TestPool.with { pool in
            await #expect(throws: Stop.self) {
                try await pool.driver.create(.image(fingerprint: "abc")) { directory in
                    try Files.makeDirectories(directory + "/rootfs/half")
                    throw Stop()
                }
            }
            #expect(!pool.driver.exists(.image(fingerprint: "abc")))
            #expect(pool.leftovers.isEmpty)
        }
    }

    @Test(
        "Names that would lead elsewhere are refused",
        arguments: ["..", ".", "", "a/b", "/etc", ".hidden", "a\0b"])
    func names(name: String) async throws {
        try await TestPool.with { pool in
            for volume in [
                Volume.container(name), .image(fingerprint: name), .snapshot(container: "c1", name: name),
            ] {
                do {
                    try await pool.driver.copy(.container("c1"), to: volume)
                    Issue.record("\(volume) was made")
                } catch let error as StorageError {
                    #expect(error.code == .invalidName)
                }
            }
        }
    }

    @Test("Missing volumes and names in use are told apart") func rules() async throws {
        try await TestPool.with { pool in
            let codes = await [
                code { try await pool.driver.copy(.container("none"), to: .container("c2")) },
                code { try await pool.driver.copy(.container("c1"), to: .container("c1")) },
                code { try await pool.driver.delete(.container("none")) },
                code { try await pool.driver.rename(.container("none"), to: "c2") },
                code { try await pool.driver.rename(.container("c1"), to: "c1") },
                code { _ = try await pool.driver.stage(.snapshot(container: "c1", name: "none"), for: "c1") },
            ]
            #expect(codes == [.notFound, .alreadyExists, .notFound, .notFound, .alreadyExists, .notFound])
        }
    }

    private func code(_ body: () async throws -> Void) async -> StorageError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? StorageError)?.code
        }
    }

    @Test("A renamed container keeps its snapshots; a deleted one takes them along")
    func renameAndDelete() async throws {
        try await TestPool.with { pool in
            let driver = pool.driver
            try await driver.copy(.container("c1"), to: .snapshot(container: "c1", name: "s1"))
            try await driver.rename(.container("c1"), to: "c9")
            #expect(driver.exists(.snapshot(container: "c9", name: "s1")))
            try await driver.rename(.snapshot(container: "c9", name: "s1"), to: "s2")
            #expect(try await driver.volumes() == [.container("c9"), .snapshot(container: "c9", name: "s2")])
            try await driver.delete(.container("c9"))
            #expect(try await driver.volumes().isEmpty)
            await driver.settle()
            #expect(pool.leftovers.isEmpty)
            try await driver.deletePool()
            #expect(!Files.exists(driver.poolPath))
        }
    }

    @Test("Volumes are for root alone: a container can make setuid files of the host's root")
    func modes() async throws {
        try await TestPool.with { pool in
            try await pool.driver.copy(.container("c1"), to: .snapshot(container: "c1", name: "s"))
            for volume in [Volume.container("c1"), .snapshot(container: "c1", name: "s")] {
                var status = stat()
                stat(pool.driver.directory(of: volume), &status)
                #expect(status.st_mode & 0o777 == 0o700)
            }
        }
    }

    @Test("Usage counts blocks, holes not, and a file with two names once") func usage() async throws {
        try await TestPool.with(fill: { root in
            try Files.write(root + "/a", TestTree.pattern(1 << 20))
            link(root + "/a", root + "/b")
            try Files.write(root + "/sparse", "")
            truncate(root + "/sparse", 1 << 30)
        }) { pool in
            let usage = try await pool.driver.usage(of: .container("c1"))
            #expect(usage >= 1 << 20 && usage < 2 << 20)
            #expect(try pool.driver.space().total > 0)
        }
    }

    @Test("What a crash left in the staging room is removed") func leftovers() async throws {
        try await TestPool.with { pool in
            try Files.makeDirectories(pool.driver.poolPath + "/staging/deadbeef/volume/rootfs")
            #expect(try await pool.driver.removeLeftovers() == [pool.driver.poolPath + "/staging/deadbeef"])
            #expect(pool.leftovers.isEmpty)
            #expect(pool.driver.exists(.container("c1")))
        }
    }
}

@Suite("Staged volumes")
struct StagedVolumeTests {
    @Test("A staged volume takes the live one's place at once, and gives it back")
    func swapAndUndo() async throws {
        try await TestPool.with { pool in
            let driver = pool.driver
            try await driver.copy(.container("c1"), to: .snapshot(container: "c1", name: "s"))
            try Files.write(pool.root("c1") + "/etc/passwd", "later")
            let staged = try await driver.stage(.snapshot(container: "c1", name: "s"), for: "c1")
            // What holds the staged directory open, as a mount of it does, stays with it.
            let held = try FileDescriptor.open(staged.rootfs, O_RDONLY | O_DIRECTORY)
            #expect(try Files.text(pool.root("c1") + "/etc/passwd") == "later")
            try await staged.swap()
            #expect(try Files.text(pool.root("c1") + "/etc/passwd").hasPrefix("root:"))
            #expect(staged.rootfs == pool.root("c1"))
            #expect(try held.status().st_ino == inode(pool.root("c1")))
            try await staged.swap()
            #expect(try Files.text(pool.root("c1") + "/etc/passwd") == "later")
            await staged.discard()
            await driver.settle()
            #expect(try Files.text(pool.root("c1") + "/etc/passwd") == "later")
            #expect(pool.leftovers.isEmpty)
            await #expect(throws: StorageError.self) { try await staged.swap() }
        }
    }

    @Test("Discarding after the swap deletes the former volume") func commit() async throws {
        try await TestPool.with { pool in
            try await pool.driver.copy(.container("c1"), to: .snapshot(container: "c1", name: "s"))
            try Files.write(pool.root("c1") + "/etc/passwd", "later")
            try await pool.driver.restore(container: "c1", from: .snapshot(container: "c1", name: "s"))
            #expect(try TreeText.describe(pool.root("c1")) == TreeText.describe(pool.snapshot("s")))
            await pool.driver.settle()
            #expect(pool.leftovers.isEmpty)
        }
    }

    @Test("After a crash the staged volume is found again") func recovery() async throws {
        try await TestPool.with { pool in
            try await pool.driver.copy(.container("c1"), to: .snapshot(container: "c1", name: "s"))
            try Files.write(pool.root("c1") + "/etc/passwd", "later")
            let lost = try await pool.driver.stage(.snapshot(container: "c1", name: "s"), for: "c1")
            try await lost.swap()
            let another = DirDriver(path: pool.driver.poolPath)
            let found = try #require(await another.staged(for: "c1"))
            #expect(await another.staged(for: "c2") == nil)
            #expect(try Files.text(found.rootfs + "/etc/passwd") == "later")
            try await found.swap()
            #expect(try Files.text(pool.root("c1") + "/etc/passwd") == "later")
            await found.discard()
            await another.settle()
            #expect(pool.leftovers.isEmpty)
        }
    }

    private func inode(_ path: String) -> ino_t {
        var status = stat()
        stat(path, &status)
        return status.st_ino
    }
}
