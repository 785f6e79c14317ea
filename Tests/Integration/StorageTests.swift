import Foundation
import Glibc
import Testing

/// Whether the machine can have a btrfs in a file.
enum BtrfsHere {
    static let isThere: Bool = {
        let kernel = text(of: "/proc/filesystems").contains("\tbtrfs\n")
        let programs = ["/usr/sbin", "/sbin", "/usr/bin"].contains { access($0 + "/mkfs.btrfs", X_OK) == 0 }
        return kernel && programs && access("/dev/loop-control", F_OK) == 0
    }()
}

extension Integration {
    /// Pools, volumes and disks.
    @Suite struct Storage {
        @Test(.enabled(if: BtrfsHere.isThere, "this machine has no btrfs, no loop devices or no btrfs-progs"))
        func aContainerGoesOnCycleAfterCycleOnBtrfs() throws {
            try withPool("btrfs") { host, pool in
                try withContainer(.debian12, "-s", pool) { host, name in
                    let guest = try Guest.start(in: name, of: .debian12, on: host)
                    let first = try guest.verify()
                    for cycle in 1...max(2, Integration.cycles / 4) {
                        try host.apus("snapshot", name, "s\(cycle)", "--stateful")
                        // Twice: the second one after the volume that was dumped has gone.
                        for _ in 1...2 { try host.apus("restore", name, "s\(cycle)") }
                        try host.apus("stop", name, "--stateful")
                        try host.apus("start", name)
                        try host.exec(name, "systemd-run", "--wait", "--quiet", "true")
                        #expect(try guest.verify("cycle \(cycle)").id == first.id)
                        try host.apus("delete", "\(name)/s\(cycle)")
                    }
                }
            }
        }

        @Test func aStatefulSnapshotIsRestoredTwice() throws {
            try withContainer(.debian12) { host, name in
                try host.apus("snapshot", name, "s", "--stateful")
                for _ in 1...2 {
                    try host.apus("restore", name, "s")
                    try host.exec(name, "systemd-run", "--wait", "--quiet", "true")
                }
            }
        }

        @Test(.enabled(if: BtrfsHere.isThere, "this machine has no btrfs, no loop devices or no btrfs-progs"))
        func sizesHoldAndChangeAtOnce() throws {
            try withPool("btrfs") { host, pool in
                try withContainer(.busybox, "-s", pool) { host, name in
                    try limit(name, pool, "20MiB", on: host)
                    let full = try host.apus(
                        [
                            "exec", name, "--", "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=40",
                            "conv=fsync",
                        ],
                        expecting: nil)
                    #expect(full.code != 0)
                    try limit(name, pool, "100MiB", on: host)
                    try host.exec(name, "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=40", "conv=fsync")
                    let wrong = try host.apus(
                        ["query", "-X", "PATCH", "-d", root(pool, "much"), "/1.0/instances/\(name)"],
                        expecting: nil)
                    #expect(wrong.code != 0 && wrong.complaint.contains("much"))
                }
            }
        }

        @Test func aDirPoolRefusesSizes() throws {
            let outcome = try Integration.host.apus(
                "init", try Integration.host.image(.busybox), Integration.freshName(), "-d",
                "root,type=disk,path=/,pool=default,size=1GiB", expecting: nil)
            #expect(outcome.code != 0 && outcome.complaint.contains("dir"), "\(outcome)")
        }

        @Test func volumesAndPathsComeAndGoWhileAContainerRuns() throws {
            let path = TestHost.scratch + "/shown"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            try Data("outside".utf8).write(to: URL(filePath: path + "/file"))
            defer { try? FileManager.default.removeItem(atPath: path) }
            try withContainer(.debian12) { host, name in
                try host.apus("storage", "volume", "create", "default", "data")
                defer { _ = try? host.apus("storage", "volume", "delete", "default", "data", expecting: nil) }
                try host.apus("storage", "volume", "attach", "default", "data", name, "/srv/data")
                let used = try host.apus("storage", "volume", "delete", "default", "data", expecting: nil)
                #expect(used.code != 0 && used.complaint.contains(name), "\(used)")
                try host.exec(name, "sh", "-c", "echo inside > /srv/data/note")
                try patch(
                    name,
                    #"{"devices":{"shown":{"type":"disk","source":"\#(path)","path":"/mnt/shown","readonly":"true"}}}"#,
                    on: host)
                #expect(try host.exec(name, "cat", "/mnt/shown/file") == "outside")
                try host.exec(name, "sh", "-c", "! echo x > /mnt/shown/new")
                // What is open in there stays open across a restore, and keeps the volume from being taken away.
                try host.exec(
                    name, "systemd-run", "--unit=writer", "sh", "-c",
                    "exec >> /srv/data/log; while :; do echo on; sleep 0.1; done")
                for _ in 1...2 {
                    try host.apus("snapshot", name, "s", "--stateful")
                    try host.apus("restore", name, "s")
                    try host.apus("delete", "\(name)/s")
                    let size = try host.exec(name, "stat", "-c", "%s", "/srv/data/log")
                    try eventually("the writer to go on") {
                        try host.exec(name, "stat", "-c", "%s", "/srv/data/log") != size
                    }
                }
                try host.apus("stop", name, "--stateful")
                try host.apus("start", name)
                #expect(try host.exec(name, "cat", "/srv/data/note", "/mnt/shown/file") == "inside\noutside")
                let busy = try host.apus(
                    "storage", "volume", "detach", "default", "data", name, expecting: nil)
                #expect(busy.code != 0 && busy.complaint.contains("use"), "\(busy)")
                try host.exec(name, "systemctl", "stop", "writer")
                try host.apus("storage", "volume", "detach", "default", "data", name)
                #expect(try host.exec(name, "ls", "/srv/data") == "")
                // After a start without it, from the beginning.
                try host.apus("storage", "volume", "attach", "default", "data", name, "again", "/opt/data")
                try host.apus("restart", name, "--force")
                #expect(try host.exec(name, "cat", "/opt/data/note") == "inside")
                try host.apus("storage", "volume", "detach", "default", "data", name)
            }
        }

        @Test(arguments: [
            (#"{"type":"disk","source":"/no/such/path","path":"/mnt"}"#, "nothing"),
            (#"{"type":"disk","source":"/proc/sys","path":"/mnt"}"#, "host"),
            (#"{"type":"disk","source":"none","pool":"default","path":"/mnt"}"#, "volume"),
            (#"{"type":"disk","source":"/var","path":"/proc/x"}"#, "/proc"),
            (#"{"type":"disk","source":"/var","path":"mnt"}"#, "absolute"),
            (#"{"type":"disk","source":"/var/../etc","path":"/mnt"}"#, "absolute"),
            (#"{"type":"disk","source":"/var","path":"/mnt","wings":"2"}"#, "wings"),
        ])
        func dangerousAndMissingSourcesAreRefused(device: String, words: String) throws {
            let host = try Integration.host
            let name = Integration.freshName()
            try host.apus("init", try host.image(.busybox), name)
            defer { _ = try? host.apus("delete", name, expecting: nil) }
            let outcome = try host.apus(
                [
                    "query", "-X", "PATCH", "--wait", "-d", #"{"devices":{"x":\#(device)}}"#,
                    "/1.0/instances/\(name)",
                ],
                expecting: nil)
            #expect(outcome.code != 0 && outcome.complaint.contains(words), "\(device): \(outcome)")
            #expect(try host.query("/1.0/instances/\(name)")["devices"]["x"]["type"].string == nil)
        }

        @Test(.enabled(if: BtrfsHere.isThere, "this machine has no btrfs, no loop devices or no btrfs-progs"))
        func aPoolThatIsAwayLosesNothing() throws {
            let host = try TestHost("away")
            defer { host.tearDown() }
            try host.apus("storage", "create", "bt", "btrfs", "size=512MiB")
            try host.apus("launch", try host.image(.busybox), "c1", "-s", "bt")
            try host.exec("c1", "sh", "-c", "echo kept > /note")
            try host.apus("stop", "c1", "--force")
            try host.stopDaemon()
            #expect(host.state.loops == [], "the loop device stays behind the daemon")
            let file = host.folder + "/disks/bt.img"
            rename(file, file + ".away")
            try host.startDaemon()
            #expect(try host.status(of: "c1") == "Stopped")
            #expect(try host.apus("storage", "list").text.contains("UNAVAILABLE"))
            let refused = try host.apus("start", "c1", expecting: nil)
            #expect(refused.code != 0 && refused.complaint.contains("not available"), "\(refused)")
            let kept = try host.apus("delete", "c1", expecting: nil)
            #expect(kept.code != 0)
            rename(file + ".away", file)
            try host.apus("start", "c1")
            #expect(try host.exec("c1", "cat", "/note") == "kept")
            // Containers run on without the daemon, and so does their pool.
            try host.stopDaemon()
            try host.startDaemon()
            #expect(try host.exec("c1", "cat", "/note") == "kept")
            let used = try host.apus("storage", "delete", "bt", expecting: nil)
            #expect(used.code != 0 && used.complaint.contains("c1"))
            try host.apus("delete", "c1", "--force")
            try host.apus("storage", "delete", "bt")
            #expect(host.state.loops == [])
            #expect(!FileManager.default.fileExists(atPath: file))
        }

        /// Runs `body` with a pool of a driver, after which nothing may be left of it.
        private func withPool(_ driver: String, _ body: (TestHost, String) throws -> Void) throws {
            let host = try Integration.host
            let pool = Integration.freshName("pool")
            let before = host.state
            try host.apus("storage", "create", pool, driver, "size=3GiB")
            do {
                try body(host, pool)
            } catch {
                host.deleteContainers()
                _ = try? host.apus("storage", "delete", pool, expecting: nil)
                throw error
            }
            try host.apus("storage", "delete", pool)
            #expect(host.state.loops == before.loops)
            #expect(host.state.mounts == before.mounts)
        }

        private func root(_ pool: String, _ size: String) -> String {
            #"{"devices":{"root":{"type":"disk","path":"/","pool":"\#(pool)","size":"\#(size)"}}}"#
        }

        private func limit(_ name: String, _ pool: String, _ size: String, on host: TestHost) throws {
            try patch(name, root(pool, size), on: host)
        }

        private func patch(_ name: String, _ json: String, on host: TestHost) throws {
            try host.apus("query", "-X", "PATCH", "--wait", "-d", json, "/1.0/instances/\(name)")
        }
    }
}
