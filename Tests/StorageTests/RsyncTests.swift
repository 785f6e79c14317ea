import CStorage
import Glibc
import LinuxSystem
import Storage
import Testing

/// What these tests need of the machine.
enum Rsync {
    static let objection: String? = {
        guard Host.isRoot else { return "only root sees all of a container's files" }
        guard (try? Spawn.find("rsync")) != nil else { return "rsync is missing" }
        guard Files.exists(runtime) else { return "apus-runtime is not built" }
        return nil
    }()

    /// The program that stands for a remote shell.
    static let runtime: String = {
        let own = (try? Files.readLink("/proc/self/exe")) ?? ""
        return own.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/apus-runtime"
    }()

    /// What LXD 5.0.2 starts at its ends.
    static let features = [
        "--xattrs", "--filter=-x security.selinux", "--delete", "--compress", "--compress-level=2",
    ]
    static let source = ["rsync", "-ar", "--devices", "--numeric-ids", "--partial", "--sparse"] + features
    static let sink =
        ["rsync", "--server", "-vlogDtpre.iLsfx", "--numeric-ids", "--devices", "--partial", "--sparse"]
        + features

    /// A tree as rsync, asked as LXD does, can carry it: it breaks hard links.
    static func fill(_ root: String) throws {
        try TestTree.make(root)
        unlink(root + "/var/linked-too")
        try age(root)
    }

    /// Gives all entries a time long past: rsync takes times of one second for the same.
    static func age(_ path: String, _ seconds: Int = 1_400_000_000) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw SystemError("lstat", path) }
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in try Files.names(in: path) { try age(path + "/" + name, seconds) }
        }
        if status.st_mtim.tv_sec > 1_700_000_000 { TestTree.setTimes(path, seconds, 7) }
    }

    /// Changes that a second session has to bring, a removal among them.
    static func change(_ root: String) throws {
        try Files.write(root + "/etc/passwd", "changed")
        unlink(root + "/etc/empty")
        try Files.makeDirectories(root + "/added")
        try age(root, 1_500_000_000)
    }
}

@Suite(
    "Moving volumes by rsync, as LXD does",
    .enabled(if: Rsync.objection == nil, Comment(rawValue: Rsync.objection ?? "rsync works here")))
struct RsyncTests {
    private let choice = TransferChoice(.rsync, rsync: .all)

    @Test("A volume goes to what LXD starts, and what has changed in a second session") func toLXD()
        async throws
    {
        try await TestPool.with(fill: Rsync.fill) { pool in
            let target = pool.base + "/theirs"
            try Files.makeDirectories(target)
            let sender = try await pool.driver.sender(VolumeSource(.container("c1")), TransferOptions(choice))
            for round in 0..<2 {
                if round == 1 { try Rsync.change(pool.root("c1")) }
                let (near, far) = try UnixSocket.pair(.stream)
                let peer = try Spawn(Rsync.sink + [".", target + "/"], fds: [0: far, 1: far]).start()
                far.close()
                try await sender.send(round == 0 ? .first : .last, over: near)
                #expect(try await peer.waitForExit().isSuccess)
                let differences = try TreeComparison.differences(pool.root("c1"), target + "/rootfs")
                #expect(differences == [])
            }
        }
    }

    @Test("A volume comes from what LXD starts, and gets the container's own ids") func fromLXD() async throws
    {
        try await TestPool.with(fill: Rsync.fill) { pool in
            let root = pool.root("c1")
            let expected = pool.base + "/expected"
            try await VolumeTransfer.copy(root, to: made(expected))
            try shift(root, by: 100_000)
            var options = TransferOptions(choice)
            options.map = IDMap(base: 100_000)
            let receiver = try await pool.driver.receiver(.container("c2"), options)
            for round in 0..<2 {
                if round == 1 {
                    for tree in [root, expected] { try Rsync.change(tree) }
                    chown(root + "/added", 100_000, 100_000)
                }
                let (near, far) = try UnixSocket.pair(.stream)
                let program = try FileDescriptor.open(Rsync.runtime, OpenFlags.path)
                let peer = try Spawn(
                    Rsync.source + [
                        pool.driver.directory(of: .container("c1")) + "/", "localhost:/tmp/foo", "-e",
                        "/proc/self/fd/4 relay 3",
                    ], fds: [3: far, 4: program]
                ).start()
                far.close()
                try await receiver.receive(over: near)
                #expect(try await peer.waitForExit().isSuccess)
            }
            try await receiver.install()
            let differences = try TreeComparison.differences(expected, pool.root("c2"))
            #expect(differences == [])
        }
    }

    @Test("Ids in lists and capabilities are shifted back, and setuid stays") func shifted() async throws {
        try await TestPool.with(fill: { root in
            try Files.write(root + "/listed", "", mode: 0o644)
            link(root + "/listed", root + "/listed-too")
            chown(root + "/listed", 101_000, 100_000)
            chmod(root + "/listed", 0o4755)
            // user:101000:rw and group:100033:r, and a capability of the namespace whose root is 100000.
            TestTree.set(root + "/listed", "system.posix_acl_access", list(101_000, 100_033))
            TestTree.set(
                root + "/listed", "security.capability", [1, 0, 0, 3, 0, 0x20] + zeros(14) + word(100_000))
        }) { pool in
            let (source, sink) = (
                try await pool.driver.sender(VolumeSource(.container("c1")), TransferOptions(choice)),
                try await pool.driver.receiver(.container("c2"), shiftedOptions)
            )
            try await TransferPair(sender: source, receiver: sink).pass(.first)
            // rsync leaves ACLs out, as it is asked to; a file system's own copy would have them.
            let path = sink.directory + "/rootfs/listed"
            TestTree.set(path, "system.posix_acl_access", list(101_000, 100_033))
            try await sink.install()
            let copy = pool.root("c2") + "/listed"
            var status = stat()
            #expect(stat(copy, &status) == 0)
            #expect(status.st_uid == 1000)
            #expect(status.st_gid == 0)
            // The list's own permissions are the mode's.
            #expect(status.st_mode & 0o7777 == 0o4664)
            #expect(attribute(copy, "system.posix_acl_access") == list(1000, 33))
            #expect(attribute(copy, "security.capability") == [1, 0, 0, 2, 0, 0x20] + zeros(14))
        }
    }

    @Test("A session that is cut leaves nothing, and says why") func cut() async throws {
        try await TestPool.with(fill: Rsync.fill) { pool in
            for limit in [0, 50, 3000, 100_000] {
                let pair = TransferPair(
                    sender: try await pool.driver.sender(
                        VolumeSource(.container("c1")), TransferOptions(choice)),
                    receiver: try await pool.driver.receiver(.container("c2"), TransferOptions(choice)))
                let (source, near) = try UnixSocket.pair(.stream)
                let (far, sink) = try UnixSocket.pair(.stream)
                let relay = Relay(near, far, limit: limit)
                let (sending, receiving) = try await pair.failures(.first, source, sink) { await relay.run() }
                #expect(
                    "\(sending ?? CancellationError())".hasPrefix("cannot send container c1: rsync exited"))
                #expect(
                    "\(receiving ?? CancellationError())".hasPrefix(
                        "cannot receive container c2: rsync exited"))
                await pair.giveUp()
                #expect(pool.leftovers.isEmpty)
            }
        }
    }

    @Test("Cancelling ends the programs") func cancelled() async throws {
        try await TestPool.with(fill: Rsync.fill) { pool in
            let sender = try await pool.driver.sender(VolumeSource(.container("c1")), TransferOptions(choice))
            let (near, far) = try UnixSocket.pair(.stream)
            let sending = Task { try await sender.send(.first, over: near) }
            // It has begun to speak.
            try await far.readable()
            sending.cancel()
            await #expect(throws: CancellationError.self) { _ = try await sending.value }
            while try !far.read(upTo: 65536).isEmpty {}
        }
    }

    private var shiftedOptions: TransferOptions {
        var options = TransferOptions(choice)
        options.map = IDMap(base: 100_000)
        return options
    }

    private func made(_ path: String) throws -> String {
        try Files.makeDirectories(path)
        return path
    }

    /// Gives a tree other owners, as LXD does where it cannot map mounts.
    private func shift(_ root: String, by base: UInt32) throws {
        var status = stat()
        guard lstat(root, &status) == 0 else { throw SystemError("lstat", root) }
        lchown(root, status.st_uid + base, status.st_gid + base)
        if status.st_mode & S_IFMT != S_IFLNK { chmod(root, status.st_mode & 0o7777) }
        if root.hasSuffix("/etc/empty") {
            TestTree.set(root, "security.capability", [1, 0, 0, 3, 0, 0x20] + zeros(14) + word(base))
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { return }
        for name in try Files.names(in: root) { try shift(root + "/" + name, by: base) }
    }

    private func list(_ user: UInt32, _ group: UInt32) -> [UInt8] {
        let none = word(.max)
        return [2, 0, 0, 0, 1, 0, 6, 0] + none + [2, 0, 6, 0] + word(user) + [4, 0, 4, 0] + none + [
            8, 0, 4, 0,
        ]
            + word(group) + [16, 0, 6, 0] + none + [32, 0, 4, 0] + none
    }

    private func word(_ number: UInt32) -> [UInt8] { (0..<4).map { UInt8(number >> (8 * $0) & 0xff) } }
    private func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

    private func attribute(_ path: String, _ name: String) -> [UInt8] {
        var value = [UInt8](repeating: 0, count: 4096)
        let size = cstorage_lgetxattr(path, name, &value, value.count)
        return Array(value[..<max(0, size)])
    }
}
