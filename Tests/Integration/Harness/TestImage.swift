import Foundation
import Glibc

/// The images of the tests: built once per machine, and kept outside the checkout.
enum TestImage: String, CaseIterable, Sendable {
    case debian12 = "test-debian-12"
    case debian13 = "test-debian-13"
    case busybox = "test-busybox"

    /// Whether its init is systemd.
    var hasSystemd: Bool { self != .busybox }

    /// The folder that built images are kept in.
    static let cache: String = {
        let chosen = ProcessInfo.processInfo.environment["APUS_TEST_CACHE"] ?? "/var/cache/apus-test"
        try? FileManager.default.createDirectory(atPath: chosen, withIntermediateDirectories: true)
        return chosen
    }()

    /// The tarball of this image; built with the product's own commands if the machine has none yet.
    func file(on host: TestHost) throws -> String {
        switch self {
        case .debian12: try Self.debian("12", on: host, name: rawValue)
        case .debian13: try Self.debian("13", on: host, name: rawValue)
        case .busybox: try Self.makeBusybox()
        }
    }

    private static func debian(_ version: String, on host: TestHost, name: String) throws -> String {
        let whole = "\(cache)/\(name).tar"
        if FileManager.default.fileExists(atPath: whole) { return whole }
        let builder = "image-\(version)"
        try host.apus("init", "debian:\(version)", builder, limit: .seconds(900))
        defer { _ = try? host.apus("delete", builder, expecting: nil) }
        let made = try host.query("/1.0/containers/\(builder)")["config"]["volatile.base_image"].string
        guard let made else { throw Trouble("the container does not tell which image it is made of") }
        let partial = "\(whole).\(getpid())"
        try host.apus("image", "export", made, partial, limit: .seconds(300))
        // The client may add the ending of the format it got.
        let written = names(in: cache).first { $0.hasPrefix("\(name).tar.\(getpid())") }
        guard let written, rename("\(cache)/\(written)", whole) == 0 else {
            throw Trouble("image export left no file at \(partial)")
        }
        // It is imported from the file like on any other host.
        try host.apus("delete", builder)
        try host.apus("image", "delete", made)
        return whole
    }

    /// A container of one program and a shell: busybox's init runs the guest program of the tests.
    private static func makeBusybox() throws -> String {
        let guest = try GuestProgram.file()
        let whole = "\(cache)/test-busybox-\(try GuestProgram.fingerprint()).tar"
        if FileManager.default.fileExists(atPath: whole) { return whole }
        let work = "\(cache)/busybox.\(getpid())"
        defer { _ = try? run(["rm", "-rf", work]) }
        let root = work + "/rootfs"
        for folder in ["bin", "dev", "etc", "proc", "sys", "run", "tmp", "root", "usr/bin", "var/guest"] {
            try FileManager.default.createDirectory(
                atPath: "\(root)/\(folder)", withIntermediateDirectories: true)
        }
        chmod(root + "/tmp", 0o1777)
        try must(["cp", "/bin/busybox", root + "/bin/busybox"])
        try must(["cp", guest, root + "/usr/bin/guest"])
        symlink("../bin/busybox", root + "/usr/bin/env")
        for name in [
            "sh", "cat", "echo", "ls", "sleep", "true", "false", "id", "env", "pwd", "ps", "wc", "touch",
            "test", "head", "dd", "sha256sum", "kill", "mkdir", "rm", "stat", "readlink", "stty", "init",
            "ln",
        ] {
            symlink("busybox", "\(root)/bin/\(name)")
        }
        try FileManager.default.createDirectory(atPath: root + "/sbin", withIntermediateDirectories: true)
        symlink("../bin/busybox", root + "/sbin/init")
        let files = [
            "etc/inittab": """
            ::sysinit:/bin/mkdir -p /run/lock
            ::respawn:/usr/bin/guest run /var/guest
            ::ctrlaltdel:/bin/true

            """,
            "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/tmp:/bin/sh\n",
            "etc/group": "root:x:0:\nuser:x:1000:\n",
            "etc/hostname": "busybox\n",
        ]
        for (name, content) in files {
            try content.write(toFile: "\(root)/\(name)", atomically: true, encoding: .utf8)
        }
        try """
        architecture: \(architecture)
        creation_date: 1700000000
        properties:
          description: busybox for the tests of Apus
          os: busybox
          release: test
        templates: {}

        """.write(toFile: work + "/metadata.yaml", atomically: true, encoding: .utf8)
        let partial = "\(whole).\(getpid())"
        try must([
            "tar", "-C", work, "--numeric-owner", "--owner=0", "--group=0", "-cf", partial, "metadata.yaml",
            "rootfs",
        ])
        guard rename(partial, whole) == 0 else { throw Trouble("cannot rename \(partial)") }
        return whole
    }

    /// The machine's architecture, by the kernel's name.
    static let architecture: String = {
        var names = utsname()
        uname(&names)
        return withUnsafeBytes(of: names.machine) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }()
}

/// The program that runs inside the containers, compiled once per version of its source.
enum GuestProgram {
    /// The compiled program on the host.
    static func file() throws -> String {
        let folder = ((#filePath as NSString).deletingLastPathComponent as NSString)
        return try must([folder.appendingPathComponent("../../../scripts/guest-program")]).text
    }

    /// What tells one version from another.
    static func fingerprint() throws -> String {
        guard let last = try file().split(separator: "-").last else { throw Trouble("no guest program") }
        return String(last)
    }
}
