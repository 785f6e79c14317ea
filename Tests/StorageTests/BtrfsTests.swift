import Glibc
import LinuxSystem
import Storage
import Testing

/// What these tests need of the machine.
enum Btrfs {
    /// Why there can be no btrfs here; nil if there can.
    static let objection: String? = {
        guard Host.isRoot else { return "only root can mount a file system" }
        let known = (try? Files.text("/proc/filesystems"))?.contains("\tbtrfs\n") ?? false
        guard known || Files.exists("/sys/module/btrfs") else { return "this kernel has no btrfs" }
        guard Files.exists("/dev/loop-control") else { return "this machine has no loop devices" }
        let places = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        guard places.contains(where: { Files.exists($0 + "/mkfs.btrfs") }) else {
            return "btrfs-progs is missing"
        }
        return nil
    }()

    /// Runs `body` with a pool in a file of its own that holds the container `c1`. Nothing is left of it.
    static func with(size: UInt64 = 512 << 20, _ body: (BtrfsDriver) async throws -> Void) async throws {
        let base = "/var/tmp/apus-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try Files.makeDirectories(base, mode: 0o700)
        let driver = BtrfsDriver(path: base + "/pool", source: .file(path: base + "/pool.img", size: size))
        do {
            try await driver.createPool()
            try await driver.create(.container("c1")) { directory in
                try Files.makeDirectories(directory + "/rootfs")
                try TestTree.make(directory + "/rootfs")
            }
            try await body(driver)
            try await driver.deletePool()
        } catch {
            await driver.settle()
            try? driver.deactivate()
            try? removeTree(base)
            throw error
        }
        #expect(try loops(of: base).isEmpty)
        #expect(try !MountInfo.current().contains { $0.mountPoint.hasPrefix(base) })
        #expect(try Files.names(in: base).isEmpty)
        try removeTree(base)
    }

    /// Loop devices of files below a directory.
    static func loops(of base: String) throws -> [String] {
        try Files.names(in: "/sys/block").filter { name in
            name.hasPrefix("loop")
                && ((try? Files.text("/sys/block/\(name)/loop/backing_file"))?.hasPrefix(base) ?? false)
        }
    }
}

@Suite(
    "Volumes of a btrfs pool",
    .enabled(if: Btrfs.objection == nil, Comment(rawValue: Btrfs.objection ?? "btrfs works here")),
    .serialized)
struct BtrfsTests {
    @Test("A copy has everything, and is a volume of its own") func copies() async throws {
        try await Btrfs.with { driver in
            try await driver.copy(.container("c1"), to: .container("c2"))
            let (from, to) = (driver.rootfs(of: .container("c1")), driver.rootfs(of: .container("c2")))
            #expect(try TreeText.describe(from) == TreeText.describe(to))
            try Files.write(to + "/etc/passwd", "other")
            #expect(try Files.text(from + "/etc/passwd").hasPrefix("root"))
            #expect(try await driver.volumes() == [.container("c1"), .container("c2")])
        }
    }

    @Test("Subvolumes made inside a container are copied, and deleted with it") func nested() async throws {
        try await Btrfs.with { driver in
            let root = driver.rootfs(of: .container("c1"))
            try await btrfs("subvolume", "create", root + "/etc/deep/sub")
            try await btrfs("subvolume", "create", root + "/etc/deep/sub/below")
            try Files.write(root + "/etc/deep/sub/below/file", "here")
            try await driver.copy(.container("c1"), to: .container("c2"))
            let copy = driver.rootfs(of: .container("c2")) + "/etc/deep/sub/below/file"
            #expect(try Files.text(copy) == "here")
            try await driver.delete(.container("c1"))
            await driver.settle()
            #expect(try Files.text(copy) == "here")
            try await driver.delete(.container("c2"))
            await driver.settle()
            #expect(try Files.names(in: driver.poolPath + "/staging").isEmpty)
            let listed = try await btrfs("subvolume", "list", driver.poolPath)
            #expect(listed == "")
        }
    }

    @Test("A snapshot is of the instant of its update, and stays as it is") func snapshots() async throws {
        try await Btrfs.with { driver in
            let root = driver.rootfs(of: .container("c1"))
            let session = try await driver.beginSnapshot(of: "c1", named: "s1")
            try Files.write(root + "/etc/passwd", "first")
            try await session.update()
            try Files.write(root + "/etc/passwd", "second")
            try await session.update()
            try Files.write(root + "/etc/passwd", "third")
            try await session.commit()
            let snapshot = driver.rootfs(of: .snapshot(container: "c1", name: "s1"))
            #expect(try Files.text(snapshot + "/etc/passwd") == "second")
            #expect(throws: (any Error).self) { try Files.write(snapshot + "/etc/passwd", "no") }
            let staged = try await driver.stage(.snapshot(container: "c1", name: "s1"), for: "c1")
            try Files.write(staged.rootfs + "/etc/passwd", "staged")
            try await staged.swap()
            #expect(try Files.text(root + "/etc/passwd") == "staged")
            try await staged.swap()
            #expect(try Files.text(root + "/etc/passwd") == "third")
            await staged.discard()
            let given = try await driver.beginSnapshot(of: "c1", named: "s2")
            try await given.update()
            await given.cancel()
            #expect(!driver.exists(.snapshot(container: "c1", name: "s2")))
            try await driver.rename(.snapshot(container: "c1", name: "s1"), to: "s3")
            try await driver.rename(.container("c1"), to: "c9")
            try await driver.delete(.snapshot(container: "c9", name: "s3"))
            await driver.settle()
            #expect(try Files.names(in: driver.poolPath + "/staging").isEmpty)
        }
    }

    @Test("A limit holds, also for what takes the container's place; a full volume says so") func quota()
        async throws
    {
        try await Btrfs.with { driver in
            try await driver.setQuota(of: .container("c1"), bytes: 20 << 20)
            let root = driver.rootfs(of: .container("c1"))
            #expect(throws: (any Error).self) {
                for part in 0..<40 { try write(root + "/part\(part)") }
            }
            try await driver.setQuota(of: .container("c1"), bytes: nil)
            try write(root + "/more")
            let session = try await driver.beginSnapshot(of: "c1", named: "s1")
            try await session.finish()
            try await driver.setQuota(of: .container("c1"), bytes: 30 << 20)
            try await driver.restore(container: "c1", from: .snapshot(container: "c1", name: "s1"))
            #expect(throws: (any Error).self) {
                for part in 40..<80 { try write(root + "/part\(part)") }
            }
        }
    }

    @Test("A pool comes back after its mount is gone, is enlarged, and says when its file is away")
    func activation() async throws {
        try await Btrfs.with { driver in
            try driver.activate()
            try driver.deactivate()
            #expect(!driver.exists(.container("c1")))
            try driver.activate()
            #expect(driver.exists(.container("c1")))
            let before = try driver.space().total
            try await driver.resize(to: 1 << 30)
            #expect(try driver.space().total > before)
            await #expect(throws: StorageError.self) { try await driver.resize(to: 256 << 20) }
            try driver.deactivate()
            guard case .file(let path, _) = driver.source else { return }
            rename(path, path + ".away")
            #expect { try driver.activate() } throws: { ($0 as? StorageError)?.code == .unavailable }
            rename(path + ".away", path)
            try driver.activate()
            #expect(driver.exists(.container("c1")))
        }
    }

    @Test("A path on btrfs is a pool; one that is not, or not empty, is refused") func paths() async throws {
        try await Btrfs.with { driver in
            let path = driver.poolPath + "/custom/inner"
            let inner = BtrfsDriver(path: path, source: .directory)
            try await inner.createPool()
            try inner.activate()
            try await inner.create(.custom("v1")) { try Files.makeDirectories($0 + "/rootfs") }
            #expect(inner.exists(.custom("v1")))
            try await inner.deletePool()
            #expect(!Files.exists(path))
            let occupied = BtrfsDriver(path: driver.poolPath + "/containers/c1/rootfs", source: .directory)
            await #expect(throws: StorageError.self) { try await occupied.createPool() }
        }
        let elsewhere = BtrfsDriver(path: "/proc/apus-no-pool", source: .directory)
        await #expect(throws: StorageError.self) { try await elsewhere.createPool() }
    }

    private func write(_ path: String) throws {
        let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        try file.write([UInt8](repeating: 7, count: 1 << 20))
        try check("fsync", "write \(path)") { fsync(file.rawValue) }
    }

    @discardableResult
    private func btrfs(_ arguments: String...) async throws -> String {
        try await HelperProgram.succeed(["btrfs"] + arguments).text
    }
}
