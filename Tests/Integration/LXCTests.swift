import Foundation
import Testing

extension Integration {
    /// LXD's own client drives Apus.
    @Suite(
        .enabled(if: LXC.isThere, "this machine has no lxc of LXD 5; Debian's package lxd-client has it"))
    struct LXDsClient {
        @Test func aContainersLife() throws {
            try withLXC { lxc, name in
                try lxc("launch", try lxc.host.image(.busybox), name)
                #expect(try lxc("list", name, "--format", "csv", "-c", "ns").text == "\(name),RUNNING")
                #expect(try lxc("exec", name, "--", "echo", "hello").text == "hello")
                #expect(try lxc("exec", name, "--", "sh", "-c", "exit 3", expecting: 3).text == "")
                #expect(
                    try lxc("exec", name, "--env", "A=b", "--cwd", "/root", "--", "sh", "-c", "echo $A $PWD")
                        .text == "b /root")
                #expect(try lxc("info", name, "--show-log").text.contains("Status: RUNNING"))
                try lxc("pause", name)
                #expect(try lxc("list", "--format", "csv", "-c", "s", name).text == "FROZEN")
                try lxc("start", name)
                try lxc("restart", name, "--force")
                try lxc("stop", name, "--force")
                try lxc("rename", name, name + "-b")
                try lxc("move", name + "-b", name)
                try lxc("copy", name, name + "-copy")
                try lxc("delete", name + "-copy")
                let missing = try lxc("start", name + "-nobody", expecting: 1)
                #expect(missing.complaint.contains("not found"), "\(missing)")
            }
        }

        @Test func runningState() throws {
            try withLXC { lxc, name in
                try lxc("launch", try lxc.host.image(.busybox), name)
                let guest = try Guest.start(in: name, of: .busybox, on: lxc.host)
                let first = try guest.verify()
                try lxc("snapshot", name, "files")
                try lxc("snapshot", name, "all", "--stateful")
                #expect(try lxc("info", name).text.contains("| all"))
                try lxc("restore", name, "all", "--stateful")
                #expect(try guest.verify("after a restore").id == first.id)
                // It once took what the daemon tells of progress for text, and panicked.
                try lxc("stop", name, "--stateful")
                #expect(try lxc("list", name, "--format", "csv", "-c", "s").text == "STOPPED")
                try lxc("start", name)
                #expect(try guest.verify("after stop and start").id == first.id)
                try lxc("move", "\(name)/files", "\(name)/renamed")
                try lxc("delete", "\(name)/renamed")
            }
        }

        @Test func filesAndTemplates() throws {
            try withLXC { lxc, name in
                try lxc("init", try lxc.host.image(.busybox), name)
                let folder = "\(lxc.folder)/tree"
                try FileManager.default.createDirectory(
                    atPath: folder + "/below", withIntermediateDirectories: true)
                try Data("text".utf8).write(to: URL(filePath: folder + "/below/file"))
                try lxc("file", "push", "-r", folder, "\(name)/root/")
                #expect(try lxc("file", "pull", "\(name)/root/tree/below/file", "-").text == "text")
                try lxc("file", "pull", "-r", "\(name)/root/tree", "\(lxc.folder)/back")
                #expect(text(of: "\(lxc.folder)/back/tree/below/file") == "text")
                try lxc("file", "delete", "\(name)/root/tree/below/file")

                let metadata = try lxc("config", "metadata", "show", name).text
                #expect(metadata.contains("architecture: "))
                let wanted =
                    metadata.replacing("templates: {}", with: "")
                    + "\ntemplates:\n  /root/made:\n    when: [start]\n    template: made.tpl\n"
                try lxc(
                    "config", "template", "create", name, "made.tpl", input: "I am {{ container.name }}\n")
                try lxc("config", "template", "edit", name, "made.tpl", input: "I am {{ container.name }}\n")
                #expect(try lxc("config", "template", "list", name, "--format", "csv").text == "made.tpl")
                #expect(
                    try lxc("config", "template", "show", name, "made.tpl").text.contains("container.name"))
                try lxc("config", "metadata", "edit", name, input: wanted)
                try lxc("start", name)
                #expect(try lxc("exec", name, "--", "cat", "/root/made").text == "I am \(name)")
                try lxc("config", "template", "delete", name, "made.tpl")
                let slash = try lxc(
                    "query", "-X", "DELETE", "/1.0/instances/\(name)/metadata/templates?path=../x",
                    expecting: 1)
                #expect(slash.complaint.contains("template"), "\(slash)")
            }
        }

        @Test func configurationProfilesAndDevices() throws {
            try withLXC { lxc, name in
                let profile = "lxc-\(name)"
                try lxc("init", try lxc.host.image(.busybox), name)
                try lxc("config", "set", name, "limits.memory=100MiB", "user.note=mine")
                #expect(try lxc("config", "get", name, "user.note").text == "mine")
                try lxc("config", "unset", name, "user.note")
                let unknown = try lxc("config", "set", name, "no.such.key=1", expecting: 1)
                #expect(unknown.complaint.contains("no.such.key"), "\(unknown)")
                try lxc("config", "device", "add", name, "d", "disk", "source=/usr/share", "path=/mnt")
                #expect(try lxc("config", "device", "get", name, "d", "path").text == "/mnt")
                try lxc("config", "device", "remove", name, "d")
                try lxc("profile", "create", profile)
                defer { _ = try? lxc("profile", "delete", profile, expecting: nil) }
                try lxc("profile", "set", profile, "limits.processes=200")
                try lxc("profile", "add", name, profile)
                #expect(
                    try lxc("config", "show", name, "--expanded").text.contains("limits.processes: \"200\""))
                try lxc("profile", "remove", name, profile)
            }
        }

        @Test func imagesAndStorage() throws {
            try withLXC { lxc, name in
                try lxc("init", try lxc.host.image(.busybox), name)
                let pool = "lxc\(name.filter { $0 != "-" })"
                try lxc("publish", name, "--alias", pool)
                defer { _ = try? lxc("image", "delete", pool, expecting: nil) }
                #expect(try lxc("image", "list", pool, "--format", "csv", "-c", "l").text == pool)
                try lxc("image", "export", pool, "\(lxc.folder)/image")
                try lxc("image", "delete", pool)
                let file = try #require(names(in: lxc.folder).first { $0.hasPrefix("image") })
                try lxc("image", "import", "\(lxc.folder)/\(file)", "--alias", pool)
                try lxc("storage", "create", pool, "dir")
                defer { _ = try? lxc("storage", "delete", pool, expecting: nil) }
                try lxc("storage", "volume", "create", pool, "v")
                try lxc("storage", "volume", "attach", pool, "v", name, "/srv")
                try lxc("storage", "volume", "detach", pool, "v", name)
                try lxc("storage", "volume", "delete", pool, "v")
                #expect(try lxc("storage", "info", pool).text.contains("driver: dir"))
            }
        }

        @Test func backups() throws {
            try withLXC { lxc, name in
                try lxc("launch", try lxc.host.image(.busybox), name)
                let guest = try Guest.start(in: name, of: .busybox, on: lxc.host)
                let first = try guest.verify()
                try lxc("snapshot", name, "all", "--stateful")
                let file = "\(lxc.folder)/backup"
                try lxc("export", name, file)
                #expect(try lxc.host.query("/1.0/instances/\(name)/backups").array.isEmpty)
                let taken = try lxc("import", file, expecting: 1)
                #expect(taken.complaint.contains("already exists"), "\(taken)")
                let optimized = try lxc("export", name, file + "-no", "--optimized-storage", expecting: 1)
                #expect(optimized.complaint.contains("--optimized-storage"), "\(optimized)")
                try lxc("delete", name, "--force")
                try lxc("import", file)
                try lxc("restore", name, "all", "--stateful")
                #expect(try guest.verify("after export and import by lxc").id == first.id)
                try lxc("export", name, file, "--instance-only", "--compression", "gzip")
                try lxc("import", file, name + "-copy", "--storage", "default")
                #expect(try lxc.host.query("/1.0/instances/\(name)-copy/snapshots").array.isEmpty)
                let nowhere = try lxc("import", file, name + "-b", "--storage", "nowhere", expecting: 1)
                #expect(nowhere.complaint.contains("nowhere"), "\(nowhere)")
            }
        }

        @Test func listsAreFiltered() throws {
            try withLXC { lxc, name in
                try lxc("init", try lxc.host.image(.busybox), name, "-c", "user.team=a b")
                func names(_ filter: String) throws -> Int {
                    let escaped = filter.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
                    return try lxc.host.query("/1.0/instances?recursion=1&filter=\(escaped)").array.count
                }
                #expect(try names("name eq \(name)") == 1)
                #expect(try names("name eq \(name) and status eq running") == 0)
                #expect(try names("name eq \(name) and not status eq running") == 1)
                #expect(try names("config.user.team eq \"a b\" and name ne other") == 1)
                #expect(try names("name eq (^\(name)$|^\(name).*)") == 1)
                for bad in ["name", "name eq", "name is x", "name eq \"x", "name eq x y eq z"] {
                    let escaped = bad.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
                    let answer = try lxc.host.connection().get("/1.0/instances?filter=\(escaped)")
                    #expect(answer.status == 400 && answer.text.contains("filter"), "\(bad): \(answer.text)")
                }
                #expect(try lxc("project", "list", "--format", "csv").text.contains("default"))
                #expect(try lxc.host.connection().get("/1.0/instances?project=other").status == 404)
            }
        }

        private func withLXC(_ body: (LXC, String) throws -> Void) throws {
            let host = try Integration.host
            let lxc = try LXC(host)
            defer { lxc.tearDown() }
            let name = Integration.freshName()
            _ = try host.image(.busybox)
            try expectNothingLeft(on: host, of: name) {
                defer {
                    for made in [name, name + "-b", name + "-copy"] {
                        _ = try? host.apus("delete", made, "--force", expecting: nil)
                    }
                }
                try body(lxc, name)
            }
        }
    }
}

/// The client of LXD, with a configuration of its own, talking to a host's socket.
struct LXC {
    static let isThere = (try? run(["lxc", "--version"]))?.text.hasPrefix("5.") == true

    let host: TestHost
    /// For files of the test, and its configuration.
    let folder: String

    init(_ host: TestHost) throws {
        self.host = host
        folder = "\((host.folder as NSString).deletingLastPathComponent)/\(Integration.freshName("lxc"))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    func tearDown() { try? FileManager.default.removeItem(atPath: folder) }

    @discardableResult
    func callAsFunction(
        _ arguments: String..., input: String = "", expecting code: Int32? = 0
    ) throws -> Outcome {
        let outcome = try run(
            ["lxc"] + arguments,
            environment: ["LXD_DIR": host.folder, "LXD_CONF": folder + "/conf", "HOME": folder],
            input: .bytes(Data(input.utf8)), limit: .seconds(90))
        if let code, outcome.code != code { throw Trouble("expected exit code \(code)\n\(outcome)") }
        return outcome
    }
}
