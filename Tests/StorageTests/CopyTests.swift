import Glibc
import LinuxSystem
import Storage
import Testing

@Suite("Copies of volumes")
struct CopyTests {
    @Test("A copy has owner, mode, times, attributes, links, holes, devices and fifos of the original")
    func fidelity() async throws {
        try await TestPool.with { pool in
            try await pool.driver.copy(.container("c1"), to: .container("c2"))
            #expect(try TreeText.describe(pool.root("c2")) == TreeText.describe(pool.root("c1")))
            #expect(
                try TreeText.describe(pool.root("c2")).contains {
                    $0.hasPrefix("./var/sparse") && $0.contains("sparse")
                })
            #expect(pool.leftovers.isEmpty)
        }
    }

    @Test("Sockets are left out; a copy is independent of its original")
    func independence() async throws {
        try await TestPool.with { pool in
            let socket = try UnixSocket.listen(pool.root("c1") + "/socket", .stream)
            defer { socket.close() }
            try await pool.driver.copy(.container("c1"), to: .container("c2"))
            #expect(!Files.exists(pool.root("c2") + "/socket"))
            try Files.write(pool.root("c1") + "/etc/passwd", "changed")
            #expect(try Files.text(pool.root("c2") + "/etc/passwd").hasPrefix("root:"))
        }
    }

    @Test("Hundreds of directories and thousands of files are copied whole, also names that are not text")
    func manyFiles() async throws {
        try await TestPool.with(fill: { root in
            for directory in 0..<150 {
                let path = "\(root)/d\(directory % 10)/e\(directory)"
                try Files.makeDirectories(path)
                for file in 0..<20 { try Files.write("\(path)/f\(file)", "\(directory) \(file)") }
            }
            let odd: [CChar] = Array((root + "/odd-").utf8CString.dropLast()) + [-1, -2, 10, 0]
            close(open(odd, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600))
        }) { pool in
            try await pool.driver.copy(.container("c1"), to: .container("c2"))
            let directory = try FileDescriptor.open(pool.root("c2"), O_RDONLY | O_DIRECTORY)
            var status = stat()
            #expect(fstatat(directory.rawValue, [111, 100, 100, 45, -1, -2, 10, 0], &status, 0) == 0)
            unlinkat(directory.rawValue, [111, 100, 100, 45, -1, -2, 10, 0], 0)
            let original = try FileDescriptor.open(pool.root("c1"), O_RDONLY | O_DIRECTORY)
            unlinkat(original.rawValue, [111, 100, 100, 45, -1, -2, 10, 0], 0)
            #expect(
                try TreeText.describe(pool.root("c2"), times: false)
                    == TreeText.describe(pool.root("c1"), times: false))
        }
    }

    @Test("Directories far deeper than a path may be long are copied, snapshotted and deleted")
    func deepTree() async throws {
        try await TestPool.with(fill: { root in
            var directory = try FileDescriptor.open(root, O_RDONLY | O_DIRECTORY)
            let name = String(repeating: "x", count: 100)
            for _ in 0..<300 {
                mkdirat(directory.rawValue, name, 0o755)
                directory = try directory.open(at: name, O_RDONLY | O_DIRECTORY)
            }
            try directory.open(at: "bottom", O_WRONLY | O_CREAT).write("here")
            linkat(directory.rawValue, "bottom", directory.rawValue, "bottom-too", 0)
        }) { pool in
            try await pool.driver.copy(.container("c1"), to: .container("c2"))
            let session = try await pool.driver.beginSnapshot(of: "c1", named: "s")
            let report = try await session.finish()
            #expect(report.entries > 300)
            let one = try await pool.driver.usage(of: .container("c1"))
            let two = try await pool.driver.usage(of: .container("c2"))
            #expect(one == two)
            try await pool.driver.delete(.container("c1"))
            try await pool.driver.delete(.container("c2"))
            await pool.driver.settle()
            #expect(pool.leftovers.isEmpty)
        }
    }

    @Test(
        "What is mounted in a volume is neither copied nor removed",
        .enabled(if: Host.isRoot, "needs root to mount"))
    func mounts() async throws {
        try await TestPool.with { pool in
            let source = pool.base + "/source"
            try Files.makeDirectories(source)
            try Files.write(source + "/of-the-host", "x")
            let place = pool.root("c1") + "/var/log"
            try Mount.bind(source, on: place)
            do {
                defer { try? Mount.unmountAll(below: pool.base) }
                try await pool.driver.copy(.container("c1"), to: .container("c2"))
                #expect(!Files.exists(pool.root("c2") + "/var/log/of-the-host"))
                await #expect(throws: StorageError.self) { try await pool.driver.delete(.container("c1")) }
                #expect(Files.exists(source + "/of-the-host"))
            }
            #expect(pool.driver.exists(.container("c1")))
            #expect(pool.leftovers.isEmpty)
        }
    }

    @Test(
        "A full file system stops a copy with a clear error, and nothing is left",
        .enabled(if: Host.isRoot, "needs root to mount"))
    func diskFull() async throws {
        let base = "/var/tmp/apus-test-full-\(getpid())"
        try Files.makeDirectories(base)
        defer { try? removeTree(base) }
        try Mount.mount("tmpfs", on: base, type: "tmpfs", flags: [], options: "size=12m")
        defer { try? Mount.unmount(base, lazy: true) }
        try await TestPool.with(
            at: base,
            fill: { root in
                try Files.write(root + "/big", TestTree.pattern(7 << 20))
            }
        ) { pool in
            let before = try pool.driver.space().available
            do {
                try await pool.driver.copy(.container("c1"), to: .container("c2"))
                Issue.record("the copy succeeded on a full file system")
            } catch let error as StorageError {
                #expect(error.code == .noSpace)
                #expect(error.message.contains("container c2"))
                #expect(error.message.contains("full"))
            }
            #expect(!pool.driver.exists(.container("c2")))
            #expect(pool.leftovers.isEmpty)
            #expect(try pool.driver.space().available == before)
            await #expect(throws: StorageError.self) {
                _ = try await pool.driver.beginSnapshot(of: "c1", named: "s")
            }
            #expect(pool.leftovers.isEmpty)
        }
    }
}
