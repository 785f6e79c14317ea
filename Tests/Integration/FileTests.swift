import Foundation
import Testing

extension Integration {
    /// `apus file`: inside the container's own root, always.
    @Suite struct Files {
        private func withFolder(_ body: (String) throws -> Void) throws {
            let folder = "\(TestHost.scratch)/\(Integration.freshName("files"))"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { _ = try? run(["rm", "-rf", folder]) }
            try body(folder)
        }

        @Test func pushAndPullKeepContentModeAndOwner() throws {
            try withContainer(.busybox) { host, name in
                try withFolder { folder in
                    try must(["dd", "if=/dev/urandom", "of=\(folder)/a", "bs=1k", "count=3000"])
                    try host.apus(
                        "file", "push", "\(folder)/a", "\(name)/tmp/a", "--uid", "1000", "--gid", "1000",
                        "--mode", "640")
                    #expect(
                        try host.exec(name, "stat", "-c", "%u:%g:%a:%s", "/tmp/a") == "1000:1000:640:3072000")
                    try host.apus("file", "pull", "\(name)/tmp/a", "\(folder)/b")
                    try must(["cmp", "\(folder)/a", "\(folder)/b"])
                    let shown = try host.apus("file", "pull", "\(name)/etc/hostname", "-")
                    #expect(try host.exec(name, "cat", "/etc/hostname") == shown.text)
                    try host.apus(
                        "file", "push", "-", "\(name)/tmp/c", input: .bytes(Data("from a pipe".utf8)))
                    #expect(try host.exec(name, "cat", "/tmp/c") == "from a pipe")
                    try host.apus("file", "delete", "\(name)/tmp/c")
                    try host.exec(name, "test", "-e", "/tmp/c", expecting: 1)
                    try host.exec(
                        name, "sh", "-c",
                        "mkdir -p /tmp/d/e; ln -s a /tmp/link; ln -s ../../link /tmp/d/e/far")
                    try host.apus("file", "pull", "\(name)/tmp/d/e/far", "\(folder)/c")
                    try must(["cmp", "\(folder)/a", "\(folder)/c"])
                    try host.apus("file", "edit", "\(name)/tmp/a", input: .bytes(Data("edited".utf8)))
                    #expect(try host.exec(name, "stat", "-c", "%u:%g:%a:%s", "/tmp/a") == "1000:1000:640:6")
                    try host.apus("file", "delete", "\(name)/tmp/d", expecting: 1)
                    try host.apus("file", "delete", "-r", "\(name)/tmp/d")
                    try host.exec(name, "test", "-e", "/tmp/d", expecting: 1)
                }
            }
        }

        @Test func wholeTreesGoBothWays() throws {
            try withContainer(.busybox) { host, name in
                try withFolder { folder in
                    try FileManager.default.createDirectory(
                        atPath: "\(folder)/tree/deep/er", withIntermediateDirectories: true)
                    try "one".write(toFile: "\(folder)/tree/1", atomically: true, encoding: .utf8)
                    try "two".write(toFile: "\(folder)/tree/deep/er/2", atomically: true, encoding: .utf8)
                    try FileManager.default.createSymbolicLink(
                        atPath: "\(folder)/tree/link", withDestinationPath: "deep/er/2")
                    try host.apus("file", "push", "-r", "\(folder)/tree", "\(name)/root/")
                    #expect(try host.exec(name, "cat", "/root/tree/deep/er/2") == "two")
                    #expect(try host.exec(name, "readlink", "/root/tree/link") == "deep/er/2")
                    try FileManager.default.createDirectory(
                        atPath: "\(folder)/back", withIntermediateDirectories: true)
                    try host.apus("file", "pull", "-r", "\(name)/root/tree", "\(folder)/back")
                    try must(["diff", "-r", "--no-dereference", "\(folder)/tree", "\(folder)/back/tree"])
                }
            }
        }

        @Test func foldersAreMadeOnlyWhenAsked() throws {
            try withContainer(.busybox) { host, name in
                let refused = try host.apus(
                    "file", "push", "-", "\(name)/not/there/x", input: .bytes(Data("x".utf8)), expecting: nil)
                #expect(refused.code != 0)
                try host.apus("file", "push", "-p", "-", "\(name)/not/there/x", input: .bytes(Data("x".utf8)))
                #expect(try host.exec(name, "cat", "/not/there/x") == "x")
            }
        }

        /// Symlinks inside that point to where the host's files would be.
        @Test(arguments: [true, false])
        func aLinkNeverLeadsOut(running: Bool) throws {
            try withContainer(.busybox) { host, name in
                try withFolder { folder in
                    let target = "\(folder)/host-file"
                    try "the host's".write(toFile: target, atomically: true, encoding: .utf8)
                    let climb = String(repeating: "../", count: 40)
                    try host.exec(
                        name, "sh", "-c",
                        """
                        ln -s \(target) /tmp/absolute; ln -s \(climb)\(target.dropFirst()) /tmp/relative
                        ln -s \(folder) /tmp/folder; ln -s / /tmp/slash; ln -s /proc/1/root /tmp/proc; ln -s \(climb) /tmp/up
                        """)
                    if !running { try host.apus("stop", name, "--force") }
                    for path in [
                        "/tmp/absolute", "/tmp/relative", "/tmp/folder/host-file", "/tmp/slash\(target)",
                        "/tmp/up\(target)", "/../../../../..\(target)", "/proc/1/root\(target)",
                    ] {
                        let pulled = try host.apus("file", "pull", "\(name)\(path)", "-", expecting: nil)
                        #expect(!pulled.text.contains("the host's"), "\(path) was read")
                        _ = try host.apus(
                            "file", "push", "-p", "-", "\(name)\(path)",
                            input: .bytes(Data("overwritten".utf8)), expecting: nil)
                        _ = try host.apus("file", "delete", "\(name)\(path)", expecting: nil)
                        let now = try String(contentsOfFile: target, encoding: .utf8)
                        #expect(now == "the host's", "\(path) led to the host")
                    }
                    #expect(names(in: folder) == ["host-file"])
                }
            }
        }

        @Test func whatIsNoFileDoesNotHang() throws {
            try withContainer(.busybox) { host, name in
                try host.exec(name, "sh", "-c", "/bin/busybox mkfifo /tmp/fifo")
                let fifo = try host.apus(
                    "file", "pull", "\(name)/tmp/fifo", "-", expecting: nil, limit: .seconds(20))
                #expect(fifo.code != 0, "a pipe is no file to pull")
                let missing = try host.apus("file", "pull", "\(name)/tmp/missing", "-", expecting: nil)
                #expect(missing.code != 0)
                #expect(
                    missing.complaint.lowercased().contains("no such file")
                        || missing.complaint.contains("not found"), "\(missing)")
            }
        }
    }
}
