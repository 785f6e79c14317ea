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

        @Test func servicesWithMountsOfTheirOwnSeeADiskComeAndGo() throws {
            try withContainer(.debian12) { host, name in
                try host.apus("storage", "volume", "create", "default", "shared")
                defer {
                    _ = try? host.apus("storage", "volume", "delete", "default", "shared", expecting: nil)
                }
                for (unit, property) in [("plain", "PrivateMounts=yes"), ("strict", "ProtectSystem=strict")] {
                    try host.exec(
                        name, "systemd-run", "--quiet", "--unit=\(unit)", "-p", property, "sleep", "1000")
                }
                func inside(_ unit: String, _ script: String) throws -> String {
                    try host.exec(name, "sh", "-c", "p=$(systemctl show -P MainPID \(unit)); \(script)")
                }
                try host.apus("storage", "volume", "attach", "default", "shared", name, "/srv/shared")
                try host.exec(name, "sh", "-c", "echo here > /srv/shared/note")
                func expectShown() throws {
                    for unit in ["plain", "strict"] {
                        #expect(try inside(unit, "cat /proc/$p/root/srv/shared/note") == "here", "\(unit)")
                    }
                    // Who may write nowhere may not write there either.
                    let line = try inside("strict", "grep ' /srv/shared ' /proc/$p/mountinfo")
                    #expect(line.contains(" /srv/shared ro"), "\(line)")
                }
                try expectShown()
                try host.apus("snapshot", name, "s", "--stateful")
                try host.apus("restore", name, "s")
                try expectShown()
                try host.apus("storage", "volume", "detach", "default", "shared", name)
                for unit in ["plain", "strict"] {
                    #expect(
                        try inside(unit, "grep -c ' /srv/shared ' /proc/$p/mountinfo || true") == "0",
                        "\(unit)")
                }
                try host.apus("stop", name, "--stateful")
                try host.apus("start", name)
                #expect(try inside("strict", "cat /proc/$p/comm") == "sleep")
            }
        }

        @Test(.enabled(if: BtrfsHere.isThere, "this machine has no btrfs, no loop devices or no btrfs-progs"))
        func aSizeInAProfileHoldsForItsContainers() throws {
            try withPool("btrfs") { host, pool in
                let profile = "sized-\(pool)"
                try host.apus("profile", "create", profile)
                try host.apus(
                    "profile", "device", "add", profile, "root", "disk", "path=/", "pool=\(pool)",
                    "size=20MiB")
                defer { _ = try? host.apus("profile", "delete", profile, expecting: nil) }
                try withContainer(.busybox, "-p", "default", "-p", profile) { host, name in
                    let write = [
                        "exec", name, "--", "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=40",
                        "conv=fsync",
                    ]
                    #expect(try host.apus(write, expecting: nil).code != 0)
                    try host.apus("profile", "device", "set", profile, "root", "size=100MiB")
                    try host.apus(write)
                    try host.apus("profile", "device", "set", profile, "root", "size=20MiB")
                    try host.exec(name, "rm", "/big")
                    #expect(try host.apus(write, expecting: nil).code != 0)
                    try host.apus("profile", "device", "unset", profile, "root", "size")
                    try host.apus(write)
                    let moved = try host.apus(
                        "profile", "device", "set", profile, "root", "pool=default", expecting: 1)
                    #expect(moved.complaint.contains(name) && moved.complaint.contains(pool), "\(moved)")
                    let shown = try host.query("/1.0/profiles/\(profile)")
                    #expect(shown["devices"]["root"]["pool"].string == pool)
                }
            }
        }

        @Test func aSizeInAProfileIsRefusedWhereItCannotHold() throws {
            try withContainer(.busybox) { host, name in
                let refused = try host.apus(
                    "profile", "device", "set", "default", "root", "size=1GiB", expecting: 1)
                #expect(refused.complaint.contains(name) && refused.complaint.contains("dir"), "\(refused)")
                #expect(try host.query("/1.0/profiles/default")["devices"]["root"]["size"].string == nil)
            }
        }

        @Test func aContainerMovesToAnotherPoolWithItsSavedStates() throws {
            let host = try Integration.host
            let pool = Integration.freshName("pool")
            try host.apus("storage", "create", pool, BtrfsHere.isThere ? "btrfs" : "dir")
            defer { _ = try? host.apus("storage", "delete", pool, expecting: nil) }
            try withContainer(.busybox) { host, name in
                let guest = try Guest.start(in: name, of: .busybox, on: host)
                let first = try guest.verify()
                try host.apus("snapshot", name, "s", "--stateful")
                let running = try host.apus("move", name, "--storage", pool, expecting: 1)
                #expect(running.complaint.contains("stop it"), "\(running)")
                let copy = name + "-copy"
                try expectNothingLeft(on: host, of: copy) {
                    try host.apus("copy", "\(name)/s", copy, "--storage", pool)
                    #expect(try host.apus("list", copy, "--format", "csv", "-c", "b").text.contains(pool))
                    try host.apus("delete", copy)
                }
                try host.apus("stop", name, "--force")
                let address = try host.query("/1.0/containers/\(name)")["config"]["volatile.idmap.base"]
                    .string
                for target in [pool, "default"] {
                    try host.apus("move", name, "--storage", target)
                    let other = target == pool ? "default" : pool
                    let left = try host.query("/1.0/storage-pools/\(other)/volumes?recursion=1").array
                    #expect(!left.contains { $0["name"].string?.hasPrefix(name) == true }, "\(left)")
                    try host.apus("restore", name, "s", "--stateful")
                    #expect(try guest.verify("in \(target)").id == first.id)
                    #expect(try host.apus("list", name, "--format", "csv", "-c", "b").text == target)
                    try host.apus("stop", name, "--force")
                }
                let same = try host.apus("move", name, "--storage", "default", expecting: 1)
                #expect(same.complaint.contains("already"), "\(same)")
                #expect(
                    try host.query("/1.0/containers/\(name)")["config"]["volatile.idmap.base"].string
                        == address)
                try host.apus("storage", "delete", pool)
            }
        }

        @Test func volumesOfAllTypesAreListedAndAnImagesCanGo() throws {
            try withContainer(.busybox) { host, name in
                try host.apus("snapshot", name, "s")
                let base =
                    try host.query("/1.0/containers/\(name)")["config"]["volatile.base_image"].string ?? ""
                let all = try host.query("/1.0/storage-pools/default/volumes?recursion=1").array
                func find(_ type: String, _ name: String) -> JSON? {
                    all.first { $0["type"].string == type && $0["name"].string == name }
                }
                #expect(find("container", name)?["used_by"][0].string == "/1.0/instances/\(name)")
                #expect(find("container", "\(name)/s") != nil)
                #expect(find("image", base)?["used_by"][0].string == "/1.0/images/\(base)")
                for url in try host.query("/1.0/storage-pools/default/volumes").array {
                    #expect(try host.connection().get(url.string ?? "").status == 200, "\(url)")
                }
                #expect(
                    try host.apus("storage", "volume", "show", "default", "image/\(base)").text.contains(base)
                )
                let shown = try host.apus("storage", "volume", "show", "default", "container/\(name)/s")
                #expect(shown.text.contains("\(name)/s"))
                try host.apus("storage", "volume", "delete", "default", "image/\(base)")
                #expect(try host.connection().get("/1.0/images/\(base)").status == 200)
                // The next one unpacks it again.
                let second = name + "-second"
                try host.apus("init", try host.image(.busybox), second)
                try host.apus("delete", second)
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
