import CStorage
import Glibc
import LinuxSystem
import Storage
import Testing

@Suite(
    "Moving volumes between btrfs pools",
    .enabled(if: Btrfs.objection == nil, Comment(rawValue: Btrfs.objection ?? "btrfs works here")),
    .serialized)
struct BtrfsTransferTests {
    private func pair(
        _ driver: BtrfsDriver, _ source: VolumeSource, as volume: Volume, parent: Volume? = nil,
        group: TransferGroup? = nil
    ) async throws -> TransferPair {
        var options = TransferOptions(TransferChoice(.btrfs))
        options.parent = parent
        options.group = group
        return TransferPair(
            sender: try await driver.sender(source, options),
            receiver: try await driver.receiver(volume, options))
    }

    private func expectNothingLeft(_ driver: BtrfsDriver) async throws {
        await driver.settle()
        #expect(try Files.names(in: driver.poolPath + "/staging").isEmpty)
    }

    @Test("A running container's volume: all of it, then what has changed") func running() async throws {
        try await Btrfs.with { driver in
            let root = driver.rootfs(of: .container("c1"))
            try removeTree(root)
            try Files.makeDirectories(root)
            try OddTree.make(root)
            let source = VolumeSource(running: .container("c1")) { [getpid()] }
            let pair = try await pair(driver, source, as: .container("c2"))
            try await pair.pass(.first)
            for round in 0..<3 {
                try Files.write(root + "/etc/passwd", "round \(round)")
                link(root + "/var/large", root + "/linked\(round)")
                link(root + "/second", root + "/again\(round)")
                rename(root + "/etc/deep", root + "/var/deep")
                unlink(root + "/etc/empty")
                try await pair.pass(round < 2 ? .update : .last)
            }
            await pair.sender.end()
            try await pair.receiver.install()
            let copy = driver.rootfs(of: .container("c2"))
            let differences = try TreeComparison.differences(root, copy)
            #expect(differences == [])
            #expect(Subvolumes.receivedID(of: driver.directory(of: .container("c2"))) == nil)
            try Files.write(copy + "/written", "it can be written to")
            try await expectNothingLeft(driver)
        }
    }

    @Test("Snapshots come first, each as its difference to the one before") func snapshots() async throws {
        try await Btrfs.with { driver in
            let root = driver.rootfs(of: .container("c1"))
            let group = TransferGroup()
            var parent: Volume?
            for name in ["s1", "s2"] {
                try Files.write(root + "/etc/passwd", name)
                try await driver.beginSnapshot(of: "c1", named: name).finish()
                let snapshot = Volume.snapshot(container: "c1", name: name)
                let other = Volume.snapshot(container: "c2", name: name)
                let pair = try await pair(
                    driver, VolumeSource(snapshot), as: other, parent: parent, group: group)
                try await pair.pass(.first)
                try await pair.receiver.install()
                parent = snapshot
                #expect(try TreeComparison.differences(root, driver.rootfs(of: other)) == [])
                #expect(throws: (any Error).self) { try Files.write(driver.rootfs(of: other) + "/no", "") }
            }
            let pair = try await pair(
                driver, VolumeSource(.container("c1")), as: .container("c2"), parent: parent, group: group)
            try await pair.pass(.first)
            try await pair.receiver.install()
            #expect(try TreeComparison.differences(root, driver.rootfs(of: .container("c2"))) == [])
            await group.end()
            try await expectNothingLeft(driver)
        }
    }

    @Test("A stream that is cut, or nonsense, leaves nothing") func cut() async throws {
        try await Btrfs.with { driver in
            for limit in [0, 20, 5000, 100_000] {
                let pair = try await pair(driver, VolumeSource(.container("c1")), as: .container("c2"))
                let (source, near) = try UnixSocket.pair(.stream)
                let (far, sink) = try UnixSocket.pair(.stream)
                let relay = Relay(near, far, limit: limit)
                let (sending, receiving) = try await pair.failures(.first, source, sink) { await relay.run() }
                #expect(
                    "\(receiving ?? CancellationError())".hasPrefix(
                        "cannot receive container c2: btrfs receive"))
                #expect("\(sending ?? CancellationError())".hasPrefix("cannot send container c1"))
                await pair.giveUp()
                try await expectNothingLeft(driver)
            }
            let receiver = try await driver.receiver(
                .container("c3"), TransferOptions(TransferChoice(.btrfs)))
            let (near, far) = try UnixSocket.pair(.stream)
            try near.write("nonsense")
            shutdown(near.rawValue, Int32(SHUT_WR))
            await #expect(throws: StorageError.self) { _ = try await receiver.receive(over: far) }
            await receiver.discard()
            try await expectNothingLeft(driver)
        }
    }

    @Test("From one driver to the other, both ways") func mixed() async throws {
        try await TestPool.with(fill: OddTree.make) { pool in
            try await Btrfs.with { driver in
                let there = try await pool.transfer(running: false, to: driver)
                try await there.pass(.first)
                try await there.receiver.install()
                #expect(Subvolumes.isOne(driver.directory(of: .container("c2"))))
                let copy = driver.rootfs(of: .container("c2"))
                #expect(try TreeComparison.differences(pool.root("c1"), copy) == [])
                let options = TransferOptions(TransferChoice(.tree))
                let back = TransferPair(
                    sender: try await driver.sender(
                        VolumeSource(running: .container("c2")) { [getpid()] }, options),
                    receiver: try await pool.driver.receiver(.container("c3"), options))
                try await back.pass(.first)
                try Files.write(copy + "/etc/passwd", "changed meanwhile")
                try await back.pass(.last)
                await back.sender.end()
                try await back.receiver.install()
                #expect(try TreeComparison.differences(copy, pool.root("c3")) == [])
            }
        }
    }
}

/// What `btrfs subvolume show` tells.
enum Subvolumes {
    static func isOne(_ path: String) -> Bool { show(path) != nil }

    /// The id of what it was received from.
    static func receivedID(of path: String) -> String? {
        show(path)?.split(separator: "\n").first { $0.contains("Received UUID") }?
            .split(separator: ":").last.map { String($0).filter { !$0.isWhitespace } }.flatMap {
                $0 == "-" ? nil : $0
            }
    }

    private static func show(_ path: String) -> String? {
        guard let output = try? FileDescriptor.memory(named: "output"),
            let program = try? Spawn(["btrfs", "subvolume", "show", path], fds: [1: output]).start(),
            let status = try? program.waitBlocking(), status.isSuccess,
            let bytes = try? output.readFromStart()
        else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
