import Foundation
import Glibc
import Testing

extension Integration {
    /// Containers and images go between Apus and LXD itself, both ways, as LXD's client asks for it.
    @Suite(
        .enabled(
            if: LXC.isThere && RealLXD.isThere, "this machine has no LXD 5; Debian's package lxd has it"))
    struct LXDItself {
        @Test func containersAndImagesGoBothWays() throws {
            let host = try TestHost("beside-lxd")
            defer { host.tearDown() }
            let lxd = try RealLXD()
            defer { lxd.tearDown() }
            try host.apus("config", "set", "core.https_address", "127.0.0.1:\(NetworkPort.freePort())")
            let lxc = try LXC(host)
            defer { lxc.tearDown() }
            let token = try host.apus("config", "trust", "add", "lxc", "-q").text.split(separator: "\n")
            try lxc("remote", "add", "apus", String(try #require(token.last)))
            try lxc(
                "remote", "add", "lxd", lxd.address, "--accept-certificate", "--password", RealLXD.password)

            let image = try host.image(.busybox)
            try lxc("image", "copy", "apus:\(image)", "lxd:", "--alias", "theirs")
            let fingerprint = try host.query("/1.0/images/aliases/\(image)")["target"].string ?? ""
            #expect(
                try lxc("image", "list", "lxd:", "--format", "csv", "-c", "F").text == fingerprint,
                "the image is another one there")

            func fill(_ name: String) throws {
                try lxc("file", "push", "-", "\(name)/root/note", input: "before")
                try lxc("snapshot", name, "s0")
                try lxc("file", "push", "-", "\(name)/root/note", input: "after")
            }
            try lxc("init", "apus:\(image)", "apus:a")
            try fill("apus:a")
            try lxc("init", "lxd:theirs", "lxd:l")
            try fill("lxd:l")
            for (from, name, to) in [("apus", "a", "lxd"), ("lxd", "l", "apus")] {
                for mode in ["pull", "push", "relay"] {
                    let copy = "\(to):\(name)-\(mode)"
                    try lxc("copy", "\(from):\(name)", copy, "--mode", mode)
                    #expect(try lxc("file", "pull", "\(copy)/root/note", "-").text == "after", "\(copy)")
                    #expect(try lxc("info", copy).text.contains("| s0"), "\(copy)")
                    try lxc("restore", copy, "s0")
                    #expect(try lxc("file", "pull", "\(copy)/root/note", "-").text == "before", "\(copy)")
                }
                try lxc("copy", "\(from):\(name)/s0", "\(to):\(name)-of-s0")
                #expect(try lxc("file", "pull", "\(to):\(name)-of-s0/root/note", "-").text == "before")
                try lxc("move", "\(from):\(name)", "\(to):\(name)-moved")
                #expect(try lxc("file", "pull", "\(to):\(name)-moved/root/note", "-").text == "after")
                let rest = try lxc("list", "\(from):", "--format", "csv", "-c", "n").text
                #expect(!rest.split(separator: "\n").contains(Substring(name)), "it is still there: \(rest)")
            }
            // What came from LXD runs here; ids and all.
            try lxc("start", "apus:l-moved")
            #expect(try lxc("exec", "apus:l-moved", "--", "stat", "-c", "%u:%g", "/root/note").text == "0:0")

            // As files, too.
            for (from, to) in [("apus:l-moved", "lxd"), ("lxd:a-moved", "apus")] {
                let file = "\(lxc.folder)/backup-for-\(to)"
                try lxc("export", from, file)
                try lxc("import", "\(to):", file, "imported")
                let copy = "\(to):imported"
                #expect(try lxc("file", "pull", "\(copy)/root/note", "-").text == "after", "\(copy)")
                #expect(try lxc("info", copy).text.contains("| s0"), "\(copy)")
                try lxc("restore", copy, "s0")
                #expect(try lxc("file", "pull", "\(copy)/root/note", "-").text == "before", "\(copy)")
            }
            try lxc("start", "apus:imported")
            #expect(try lxc("exec", "apus:imported", "--", "stat", "-c", "%u:%g", "/root/note").text == "0:0")
        }
    }
}

/// A daemon of LXD, with a folder of its own: a pool on it, and no network.
final class RealLXD {
    static let isThere = access("/usr/bin/lxd", X_OK) == 0
    static let password = "open-sesame"

    let folder = "\(TestHost.scratch)/\(Integration.freshName("lxd"))"
    let address: String
    private let daemon: Program
    /// Cgroups that were there before; LXD makes some and leaves them.
    private let cgroups = RealLXD.pivots()

    init() throws {
        address = "127.0.0.1:\(try NetworkPort.freePort())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        daemon = try Program(
            ["lxd", "--group", "root"], environment: ["LXD_DIR": folder], output: .file(folder + ".log"),
            errors: .file(folder + ".log"))
        do {
            let ready = try call("lxd", "waitready", "--timeout", "60")
            guard ready.code == 0 else { throw Trouble("LXD does not start: \(text(of: folder + ".log"))") }
            try must("lxc", "storage", "create", "default", "dir")
            try must("lxc", "profile", "device", "add", "default", "root", "disk", "path=/", "pool=default")
            try must("lxc", "config", "set", "core.https_address", address)
            try must("lxc", "config", "set", "core.trust_password", Self.password)
        } catch {
            tearDown()
            throw error
        }
    }

    private static func pivots() -> [String] {
        let base = "/sys/fs/cgroup"
        return ([base] + names(in: base).map { "\(base)/\($0)" }).map { $0 + "/lxc.pivot" }
            .filter { access($0, F_OK) == 0 }
    }

    private func call(_ arguments: String...) throws -> Outcome { try call(arguments) }

    private func call(_ arguments: [String]) throws -> Outcome {
        try run(
            arguments, environment: ["LXD_DIR": folder, "LXD_CONF": folder + "-conf", "HOME": folder],
            limit: .seconds(70))
    }

    private func must(_ arguments: String...) throws {
        let outcome = try call(arguments)
        guard outcome.code == 0 else { throw Trouble("\(outcome)\n\(text(of: folder + ".log"))") }
    }

    /// Ends it, and takes away what it leaves: mounts, and its folder.
    func tearDown() {
        _ = try? call("lxd", "shutdown", "--timeout", "20")
        if (try? daemon.wait(limit: .seconds(30))) == nil { daemon.signal(SIGKILL) }
        let mounts = text(of: "/proc/self/mountinfo").split(separator: "\n").compactMap { line in
            line.split(separator: " ").dropFirst(4).first.map(String.init)
        }
        for mount in mounts.filter({ $0.hasPrefix(folder + "/") }).sorted(by: >) {
            umount2(mount, Int32(MNT_DETACH))
        }
        for cgroup in Self.pivots() where !cgroups.contains(cgroup) { rmdir(cgroup) }
        for path in [folder, folder + "-conf", folder + ".log"] {
            _ = try? run(["rm", "-rf", "--one-file-system", path])
        }
    }
}
