import ContainerRuntime
import Glibc
import LinuxSystem
import Testing

/// The helper program, as the build leaves it beside the tests.
enum Helper {
    static let path: String? = {
        let beside = (try? Files.readLink("/proc/self/exe")).map {
            $0.split(separator: "/").dropLast().joined(separator: "/")
        }
        let tests = CommandLine.arguments.first.map {
            $0.split(separator: "/").dropLast().joined(separator: "/")
        }
        let candidates =
            [Environment.value("APUS_RUNTIME")] + [tests, beside].map { $0.map { "/\($0)/apus-runtime" } }
        return candidates.compactMap { $0 }.first { access($0, X_OK) == 0 }
    }()

    static let canRun = geteuid() == 0 && path != nil

    /// The files of a stopped container below `base`, beside which lies what must not be reached.
    static func with(_ body: (ContainerFiles, _ root: String, _ base: String) async throws -> Void)
        async throws
    {
        let base =
            "\(Environment.value("TMPDIR") ?? "/var/tmp")/apus-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let root = base + "/rootfs"
        try Files.makeDirectories(root + "/etc/sub")
        defer { try? removeTree(base) }
        try Files.makeDirectories(base + "/host")
        try Files.write(base + "/host/secret", "untouched", mode: 0o600)
        try Files.write(root + "/etc/passwd", "root:x:0:0\n", mode: 0o644)
        let files = ContainerFiles(.stopped(rootfs: root), program: try #require(path))
        defer { files.close() }
        try await body(files, root, base)
        #expect(try Files.text(base + "/host/secret") == "untouched")
        #expect(try Files.names(in: base + "/host") == ["secret"])
    }
}

/// The code of the error that `body` throws.
private func code(_ body: () async throws -> Void) async -> ContainerFileError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? ContainerFileError)?.code
    }
}

private func text(_ file: ContainerFile) throws -> String? {
    guard case .data(let data) = file.content else { return nil }
    return String(decoding: try data.readAll(), as: UTF8.self)
}

@Suite("Files of containers", .enabled(if: Helper.canRun, "needs root and apus-runtime beside the tests"))
struct ContainerFilesTests {
    @Test("Files are read, written, listed and removed") func everyday() async throws {
        try await Helper.with { files, root, _ in
            let passwd = try await files.open("/etc/passwd")
            #expect(passwd.info.type == .file && passwd.info.mode == 0o644 && passwd.info.size == 11)
            #expect(try text(passwd) == "root:x:0:0\n")
            try await files.write(
                Array("new".utf8), to: "/etc/new", attributes: .init(user: 1000, group: 1001, mode: 0o4640))
            let info = try await files.info("etc/new")
            #expect(info.user == 1000 && info.group == 1001 && info.mode == 0o4640 && info.size == 3)
            #expect(try await files.list("/etc").map(\.name) == ["new", "passwd", "sub"])
            try await files.remove("/etc/new")
            #expect(await code { _ = try await files.open("/etc/new") } == .notFound)
            try await files.makeDirectory("/a/b/c", attributes: .init(user: 5, mode: 0o2770), parents: true)
            #expect(try await files.info("/a/b/c").mode == 0o2770)
            #expect(try await files.info("/a/b").mode == 0o755)
            try await files.makeSymlink("/a/link", to: "../etc/passwd")
            #expect(try text(try await files.open("/a/link")) == "root:x:0:0\n")
            guard case .target(let target) = try await files.open("/a/link", follow: false).content else {
                Issue.record("no symlink")
                return
            }
            #expect(target == "../etc/passwd")
            #expect(try await files.list("/").map(\.name) == ["a", "etc"])
            try await files.remove("/a", recursive: true)
            #expect(try Files.names(in: root) == ["etc"])
        }
    }

    @Test("A file that is replaced keeps owner and mode unless told otherwise, and is replaced at once")
    func replacing() async throws {
        try await Helper.with { files, root, _ in
            let path = root + "/etc/passwd"
            chown(path, 33, 34)
            chmod(path, 0o640)
            let reader = try FileDescriptor.open(path, O_RDONLY)
            let writer = try await files.write("/etc/passwd")
            try writer.file.write("replaced")
            #expect(try Files.text(path) == "root:x:0:0\n")
            try await writer.commit()
            #expect(try Files.text(path) == "replaced")
            #expect(try reader.readAll() == Array("root:x:0:0\n".utf8))
            let info = try await files.info("/etc/passwd")
            #expect(info.user == 33 && info.group == 34 && info.mode == 0o640)
            let given = try await files.write("/etc/passwd")
            try given.file.write("half")
            await given.cancel()
            #expect(try Files.text(path) == "replaced")
            #expect(try Files.names(in: root + "/etc").sorted() == ["passwd", "sub"])
            try await files.write(Array("!".utf8), to: "/etc/passwd", append: true)
            #expect(try Files.text(path) == "replaced!")
        }
    }

    @Test("A file with two names keeps both") func hardLink() async throws {
        try await Helper.with { files, root, _ in
            link(root + "/etc/passwd", root + "/etc/second")
            try await files.write(Array("both".utf8), to: "/etc/passwd")
            #expect(try Files.text(root + "/etc/second") == "both")
        }
    }

    @Test(
        "No symlink leads to the host",
        arguments: [
            "/", "../../../../../../..", "../host", "/proc/self/root", "/proc/1/root", "/proc/self/cwd",
        ])
    func symlinkDirectories(target: String) async throws {
        try await Helper.with { files, root, base in
            // What the symlink would mean on the host, were it followed there.
            symlink(target == "/" || target.hasPrefix("..") ? target : base + "/host", root + "/way")
            symlink(target, root + "/out")
            let ways = ["/way/secret", "/out/secret", "/out\(base)/host/secret", "/way\(base)/host/secret"]
            for path in ways + ["/out/host/secret"] {
                // What can be done is done inside: then the name means a file of the container.
                let before = try (try? await files.open(path)).flatMap { try text($0) }
                #expect(before == nil, "\(path)")
                _ = await code { try await files.write([120], to: path) }
                let after = try (try? await files.open(path)).flatMap { try text($0) }
                #expect(after == nil || after == "x", "\(path)")
                _ = await code { try await files.remove(path) }
                _ = await code { try await files.makeDirectory(path + "x") }
            }
            #expect(try Files.names(in: base).sorted() == ["host", "rootfs"])
            #expect(!Files.exists("/secret") && !Files.exists("/secretx"))
        }
    }

    @Test("A symlink at the end means a file of the container, or none") func symlinkFiles() async throws {
        try await Helper.with { files, root, base in
            symlink(base + "/host/secret", root + "/absolute")
            symlink("../../host/secret", root + "/etc/relative")
            symlink("loop", root + "/loop")
            symlink("/etc/not-yet", root + "/dangling")
            #expect(await code { _ = try await files.open("/absolute") } == .notFound)
            #expect(await code { _ = try await files.open("/etc/relative") } == .notFound)
            #expect(await code { try await files.write([120], to: "/absolute") } == .notFound)
            #expect(await code { _ = try await files.open("/loop") } == .notAllowed)
            try await files.write(Array("through".utf8), to: "/dangling")
            #expect(try Files.text(root + "/etc/not-yet") == "through")
            #expect(try Files.readLink(root + "/dangling") == "/etc/not-yet")
            try await files.remove("/dangling")
            #expect(Files.exists(root + "/etc/not-yet"))
            #expect(await code { _ = try await files.open("/../../../host/secret") } == .notFound)
        }
    }

    @Test("Removing a tree follows no symlink and crosses no mount") func removal() async throws {
        try await Helper.with { files, root, base in
            try Files.makeDirectories(root + "/tree/deep/er")
            symlink(base + "/host", root + "/tree/deep/link")
            #expect(await code { try await files.remove("/tree") } == .notEmpty)
            try await files.remove("/tree", recursive: true)
            #expect(!Files.exists(root + "/tree"))
            try Files.makeDirectories(root + "/mounted/here")
            try Mount.bind(base + "/host", on: root + "/mounted/here")
            defer { try? Mount.unmountAll(below: base) }
            #expect(await code { try await files.remove("/mounted", recursive: true) } != nil)
            #expect(Files.exists(base + "/host/secret"))
        }
    }

    @Test("Devices, fifos and sockets are never opened") func devices() async throws {
        try await Helper.with { files, root, _ in
            mkfifo(root + "/fifo", 0o666)
            mknod(root + "/zero", S_IFCHR | 0o666, 1 << 8 | 5)
            for name in ["/fifo", "/zero"] {
                let file = try await files.open(name)
                #expect(file.info.type == .other)
                guard case .none = file.content else {
                    Issue.record("\(name) was opened")
                    continue
                }
                #expect(await code { try await files.write([120], to: name) } == .notAllowed)
            }
        }
    }

    @Test("What cannot be done is told apart") func errors() async throws {
        try await Helper.with { files, _, _ in
            let codes = await [
                code { try await files.write([1], to: "/etc") },
                code { try await files.write([1], to: "/none/file") },
                code { try await files.write([1], to: "/etc/passwd/file") },
                code { _ = try await files.list("/etc/passwd") },
                code { try await files.makeDirectory("/etc") },
                code { try await files.makeDirectory("/etc/passwd", parents: true) },
                code { try await files.makeSymlink("/etc/passwd", to: "x") },
                code { try await files.remove("/none") },
                code { try await files.remove("/") },
                code { try await files.remove("/etc/..", recursive: true) },
                code { _ = try await files.open("/etc/a\0b") },
                code { _ = try await files.open("/" + String(repeating: "x", count: 300)) },
            ]
            #expect(
                codes == [
                    .isDirectory, .notFound, .notDirectory, .notDirectory, .exists, .exists, .exists,
                    .notFound,
                    .notAllowed, .notAllowed, .notAllowed, .notAllowed,
                ])
        }
    }

    @Test("Large directories and files pass through whole") func large() async throws {
        try await Helper.with { files, root, _ in
            try Files.makeDirectories(root + "/many")
            for number in 0..<3000 { try Files.write("\(root)/many/a-name-that-is-not-short-\(number)", "") }
            #expect(try await files.list("/many").count == 3000)
            let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0) }
            try await files.write(bytes, to: "/large")
            #expect(try Files.bytes(root + "/large") == bytes)
        }
    }

    @Test("Helpers that were killed are replaced; several work side by side") func helpers() async throws {
        try await Helper.with { files, root, _ in
            let writers = try await [files.write("/one"), files.write("/two")]
            for writer in writers { try writer.file.write("x") }
            for writer in writers { try await writer.commit() }
            #expect(try Files.names(in: root).sorted() == ["etc", "one", "two"])
            files.close()
            #expect(try await files.info("/one").size == 1)
        }
    }
}
