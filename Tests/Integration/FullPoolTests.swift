import Foundation
import Glibc
import Testing

/// A small ext4 in a file, mounted at a path.
private final class SmallFileSystem {
    let path: String
    private let file: String

    init(at path: String, megabytes: Int) throws {
        self.path = path
        file = path + ".img"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try must(["truncate", "-s", "\(megabytes)M", file])
        try must(["mkfs.ext4", "-q", "-m", "0", file])
        try mount()
    }

    func mount() throws { try must(["mount", "-o", "loop", file, path]) }
    func unmount() throws { try must(["umount", path]) }

    /// Takes all room but some.
    func fill(leaving kilobytes: UInt64) throws {
        var figures = statvfs()
        guard statvfs(path, &figures) == 0 else { throw Trouble("statvfs: errno \(errno)") }
        let free = UInt64(figures.f_bavail) * UInt64(figures.f_frsize)
        try must(["fallocate", "-l", "\(free - kilobytes * 1024)", path + "/ballast"])
    }

    func free() throws { try FileManager.default.removeItem(atPath: path + "/ballast") }

    func remove() {
        umount2(path, Int32(MNT_DETACH))
        for name in [path, file] { _ = try? FileManager.default.removeItem(atPath: name) }
    }
}

extension Integration {
    /// Pools without room, and pools that go away: errors are clear, and nothing is lost.
    @Suite struct FullPools {
        /// What anybody would understand.
        private func saysFull(_ outcome: Outcome) -> Bool {
            outcome.code != 0
                && ["is full", "no room", "No space left"].contains {
                    outcome.complaint.contains($0)
                }
        }

        private func files(in pool: String) -> [String] {
            ["containers", "snapshots", "images", "custom", "staging"].flatMap { kind in
                names(in: "\(pool)/\(kind)").map { "\(kind)/\($0)" }
            }.sorted()
        }

        @Test func aFullDirPoolLosesNothing() throws {
            let host = try Integration.host
            let disk = try SmallFileSystem(
                at: "\(TestHost.scratch)/\(Integration.freshName("small"))", megabytes: 64)
            defer { disk.remove() }
            let pool = Integration.freshName("pool")
            let source = disk.path + "/pool"
            try host.apus("storage", "create", pool, "dir", "source=\(source)")
            defer { _ = try? host.apus("storage", "delete", pool, expecting: nil) }
            try withContainer(.busybox, "-s", pool) { host, name in
                let guest = try Guest.start(in: name, of: .busybox, on: host)
                let first = try guest.verify()
                try host.exec(name, "dd", "if=/dev/urandom", "of=/root/data", "bs=1M", "count=8")
                let sum = try host.exec(name, "sha256sum", "/root/data")
                try host.apus("snapshot", name, "before", "--stateful")
                try disk.fill(leaving: 900)
                let before = files(in: source)
                let other = name + "-copy"
                for arguments in [
                    ["snapshot", name, "s"], ["snapshot", name, "s", "--stateful"],
                    ["restore", name, "before"],
                    ["copy", name, other], ["copy", "\(name)/before", other],
                    ["init", try host.image(.debian12), other, "-s", pool],
                ] {
                    let outcome = try host.apus(arguments, expecting: nil)
                    #expect(saysFull(outcome), "\(outcome)")
                    #expect(files(in: source) == before, "after \(arguments)")
                    #expect(try host.status(of: name) == "Running")
                    #expect(try host.status(of: other) == nil)
                    #expect(try guest.verify("after \(arguments)").id == first.id)
                }
                #expect(try host.query("/1.0/containers/\(name)/snapshots").array.count == 1)
                #expect(try host.exec(name, "sha256sum", "/root/data") == sum)
                // Saved states are not in the pool: what is small enough still goes.
                try host.apus("stop", name, "--stateful")
                try host.apus("start", name)
                #expect(try guest.verify("after a stop with its state").id == first.id)
                try disk.free()
                try host.apus("restore", name, "before")
                #expect(try guest.verify("with room again").id == first.id)
                #expect(try host.exec(name, "sha256sum", "/root/data") == sum)
            }
            try host.apus("storage", "delete", pool)
        }

        @Test func aDaemonWithoutRoomSavesNoStateAndLosesNothing() throws {
            let disk = try SmallFileSystem(
                at: "\(TestHost.scratch)/\(Integration.freshName("tight"))", megabytes: 400)
            defer { disk.remove() }
            let host = try TestHost(String(disk.path.split(separator: "/").last ?? "tight"))
            defer { host.tearDown() }
            try host.apus("launch", try host.image(.busybox), "c1")
            let guest = try Guest.start(in: "c1", of: .busybox, on: host)
            let first = try guest.verify()
            // Its memory has to go somewhere.
            let hog = try host.begin(
                "exec", "c1", "--", "dd", "if=/dev/zero", "of=/dev/null", "bs=80M", "count=1000000")
            defer { hog.signal(SIGKILL) }
            try eventually("a process with much memory") {
                try host.query("/1.0/containers/c1/state")["memory"]["usage"].int ?? 0 > 80_000_000
            }
            try disk.fill(leaving: 20_000)
            for arguments in [["snapshot", "c1", "s", "--stateful"], ["stop", "c1", "--stateful"]] {
                let outcome = try host.apus(arguments, expecting: nil)
                #expect(saysFull(outcome), "\(outcome)")
                #expect(try host.status(of: "c1") == "Running")
                #expect(try guest.verify("after \(arguments)").id == first.id)
                #expect(names(in: host.folder + "/checkpoints/c1/snapshots") == [])
                #expect(names(in: host.folder + "/checkpoints/c1").filter { $0 != "snapshots" } == [])
            }
            #expect(try host.query("/1.0/containers/c1/snapshots").array.isEmpty)
            try disk.free()
            try host.apus("snapshot", "c1", "s", "--stateful")
            #expect(try guest.verify("with room again").id == first.id)
        }

        @Test func anImageThatDoesNotFitLeavesNothing() throws {
            let disk = try SmallFileSystem(
                at: "\(TestHost.scratch)/\(Integration.freshName("tight"))", megabytes: 96)
            defer { disk.remove() }
            let host = try TestHost(String(disk.path.split(separator: "/").last ?? "tight"))
            defer { host.tearDown() }
            let image = try host.image(.busybox)
            try host.apus("init", image, "c1")
            try disk.fill(leaving: 1500)
            let before = names(in: host.folder + "/images")
            let file = try TestImage.debian12.file(on: Integration.host)
            let outcome = try host.apus("image", "import", file, "--alias", "big", expecting: nil)
            #expect(saysFull(outcome), "\(outcome)")
            let published = try host.apus(
                "publish", "c1", "--alias", "c1", "--compression", "none", expecting: nil)
            #expect(saysFull(published), "\(published)")
            #expect(names(in: host.folder + "/images") == before)
            #expect(names(in: host.folder + "/images/incoming") == [])
            #expect(try host.query("/1.0/images").array.count == 1)
            try disk.free()
            try host.apus("start", "c1")
            #expect(try host.exec("c1", "echo", "well") == "well")
        }

        @Test(.enabled(if: BtrfsHere.isThere, "this machine has no btrfs, no loop devices or no btrfs-progs"))
        func aFullBtrfsPoolLosesNothing() throws {
            let host = try Integration.host
            let pool = Integration.freshName("pool")
            try host.apus("storage", "create", pool, "btrfs", "size=256MiB")
            defer { _ = try? host.apus("storage", "delete", pool, expecting: nil) }
            try withContainer(.busybox, "-s", pool) { host, name in
                let guest = try Guest.start(in: name, of: .busybox, on: host)
                let first = try guest.verify()
                try host.apus("snapshot", name, "before", "--stateful")
                let full = try host.apus(
                    ["exec", name, "--", "dd", "if=/dev/urandom", "of=/big", "bs=1M", "count=300"],
                    expecting: nil)
                #expect(full.code != 0)
                let other = name + "-copy"
                for arguments in [["snapshot", name, "s", "--stateful"], ["copy", name, other]] {
                    // A snapshot needs next to no room here; what there is not is said.
                    let outcome = try host.apus(arguments, expecting: nil)
                    #expect(outcome.code == 0 || saysFull(outcome), "\(outcome)")
                    #expect(try host.exec(name, "echo", "well") == "well", "after \(arguments)")
                    for left in ["\(name)/s", other] { _ = try? host.apus("delete", left, expecting: nil) }
                }
                try host.exec(name, "rm", "/big")
                // btrfs gives the room of deleted files back when its cleaner comes by.
                try eventually("a restore to have room", limit: .seconds(90)) {
                    try host.apus("restore", name, "before", expecting: nil).code == 0
                }
                #expect(try guest.verify("after the restore").id == first.id)
                #expect(try host.exec(name, "ls", "/root").isEmpty)
                try host.exec(name, "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=20", "conv=fsync")
            }
            try host.apus("storage", "delete", pool)
        }

        @Test func aDirPoolWhoseDiskIsAwayLosesNothing() throws {
            let host = try TestHost("unplugged")
            defer { host.tearDown() }
            let disk = try SmallFileSystem(
                at: "\(TestHost.scratch)/\(Integration.freshName("plug"))", megabytes: 64)
            defer { disk.remove() }
            try host.apus("storage", "create", "usb", "dir", "source=\(disk.path)/pool")
            try host.apus("launch", try host.image(.busybox), "c1", "-s", "usb")
            try host.exec("c1", "sh", "-c", "echo kept > /note")
            try host.apus("snapshot", "c1", "s")
            try host.apus("stop", "c1", "--force")
            try host.stopDaemon()
            try disk.unmount()
            try host.startDaemon()
            #expect(try host.apus("storage", "list").text.contains("UNAVAILABLE"))
            for arguments in [
                ["start", "c1"], ["delete", "c1"], ["snapshot", "c1", "t"], ["copy", "c1", "c2"],
            ] {
                let outcome = try host.apus(arguments, expecting: nil)
                #expect(outcome.code != 0 && outcome.complaint.contains("not available"), "\(outcome)")
            }
            #expect(names(in: disk.path) == [], "something was made where the disk belongs")
            try disk.mount()
            #expect(try !host.apus("storage", "list").text.contains("UNAVAILABLE"))
            try host.apus("start", "c1")
            #expect(try host.exec("c1", "cat", "/note") == "kept")
            try host.apus("restore", "c1", "s")
            // The same while the daemon runs.
            try host.apus("stop", "c1", "--force")
            try disk.unmount()
            let away = try host.apus("start", "c1", expecting: nil)
            #expect(away.code != 0 && away.complaint.contains("not available"), "\(away)")
            try disk.mount()
            try host.apus("start", "c1")
            try host.apus("delete", "c1", "--force")
            try host.apus("storage", "delete", "usb")
        }
    }
}
