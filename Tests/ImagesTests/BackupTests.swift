import Glibc
import Images
import LinuxSystem
import Storage
import Testing

@Suite("Backups in LXD's format")
struct BackupTests {
    private static func index(_ snapshots: [String] = []) -> BackupIndex {
        var instance = BackupIndex.Instance()
        instance.name = "c1"
        instance.architecture = ImageArchitecture.current
        instance.config = ["user.answer": "42", "user.no": "no", "user.text": "a: \"b\"\n# c"]
        instance.devices = ["root": ["type": "disk", "path": "/", "pool": "default"]]
        instance.profiles = ["default", "other"]
        instance.createdAt = "2026-01-02T03:04:05Z"
        return BackupIndex(
            instance: instance,
            snapshots: snapshots.map { name in
                var snapshot = instance
                snapshot.name = name
                snapshot.expiresAt = "0001-01-01T00:00:00Z"
                return snapshot
            }, pool: "default", backend: "dir")
    }

    /// Makes a volume with something in it.
    private func volume(_ path: String, _ text: String) throws -> String {
        try Files.makeDirectories(path + "/rootfs/etc")
        try Files.makeDirectories(path + "/templates")
        try Files.write(path + "/metadata.yaml", "architecture: x86_64\ncreation_date: 1\n")
        try Files.write(path + "/templates/t.tpl", "template")
        try Files.write(path + "/rootfs/etc/file", text)
        link(path + "/rootfs/etc/file", path + "/rootfs/etc/other")
        symlink("/etc/file", path + "/rootfs/link")
        return path
    }

    @Test(
        "What is packed comes out again, whatever it is compressed with",
        arguments: [ImageCompression.none, .gzip, .zstd, .xz, .bzip2])
    func roundTrip(compression: ImageCompression) async throws {
        try await Host.withTemporaryDirectory { base in
            let container = try volume(base + "/container", "now")
            let snapshot = try volume(base + "/snapshot", "then")
            try Files.makeDirectories(base + "/saved/images")
            try Files.write(base + "/saved/manifest.json", "{}")
            try Files.write(base + "/saved/images/pages-1.img", "memory")
            var index = Self.index(["s0"])
            index.snapshotStates = ["s0"]
            let path = base + "/archive"
            try await BackupPacker.pack(
                index,
                [
                    (.snapshot("s0"), snapshot), (.container, container),
                    (.snapshotState("s0"), base + "/saved"),
                ], to: path, compression: compression
            ) { _ in }
            #expect(ImageCompression.of(path) == compression)
            #expect(try await BackupArchive.index(path) == index)
            try await BackupArchive.inspect(path, index, states: base + "/states") { _ in }
            let state = BackupArchive.folder(of: .snapshotState("s0"), in: base + "/states")
            #expect(try Files.text(state + "/images/pages-1.img") == "memory")
            #expect(try Files.text(state + "/manifest.json") == "{}")
            let reader = try BackupReader(path)
            var parts: [BackupPart] = []
            while let part = try await reader.next() {
                parts.append(part)
                let place = base + "/out\(parts.count)"
                try Files.makeDirectories(place)
                let report = try await reader.unpack(into: place) { _ in }
                #expect(report.notes.isEmpty)
                let text = part == .container ? "now" : "then"
                #expect(try Files.text(place + "/rootfs/etc/other") == text)
                #expect(try Files.text(place + "/templates/t.tpl") == "template")
                #expect(try Files.readLink(place + "/rootfs/link") == "/etc/file")
                var status = stat()
                #expect(lstat(place + "/rootfs/etc/file", &status) == 0 && status.st_nlink == 2)
                #expect(!Files.exists(place + "/backup.yaml"))
            }
            #expect(parts == [.snapshot("s0"), .container])
        }
    }

    @Test("A byte that has changed is noticed, whatever the archive is compressed with")
    func altered() async throws {
        try await Host.withTemporaryDirectory { base in
            let container = try volume(base + "/container", String(repeating: "text", count: 1000))
            let sparse = try FileDescriptor.open(base + "/container/rootfs/sparse", O_RDWR | O_CREAT)
            #expect(ftruncate(sparse.rawValue, 3 << 20) == 0)
            #expect(pwrite(sparse.rawValue, "middle", 6, 1 << 20) == 6)
            let path = base + "/archive"
            let index = Self.index()
            try await BackupPacker.pack(index, [(.container, container)], to: path, compression: .none) { _ in
            }
            try await BackupArchive.inspect(path, index, states: nil) { _ in }
            var bytes = try Files.bytes(path)
            #expect(bytes.count < 1 << 20)
            let place = try #require(bytes.indices.first { bytes[$0...].starts(with: "texttext".utf8) })
            bytes[place + 500] ^= 1
            try Files.write(path, bytes)
            let code = await imageError {
                try await BackupArchive.inspect(path, index, states: nil) { _ in }
            }
            #expect(code == .invalid)
        }
    }

    /// Writes an archive by hand, and gives what reading it comes to.
    private func outcome(
        _ index: String = "name: c1\nconfig: {container: {name: c1}}\n",
        limits: UnpackLimits = UnpackLimits(), _ body: (inout TarBuilder) -> Void
    ) async throws -> ImageError.Code? {
        var code: ImageError.Code?
        try await Host.withTemporaryDirectory { base in
            var tar = TarBuilder()
            tar.file("backup/index.yaml", index)
            body(&tar)
            try tar.write(to: base + "/archive")
            try Files.makeDirectories(base + "/outside")
            code = await imageError {
                let index = try await BackupArchive.index(base + "/archive")
                try await BackupArchive.inspect(
                    base + "/archive", index, states: base + "/states", limits: limits
                ) { _ in }
                let reader = try BackupReader(base + "/archive", limits: limits)
                while try await reader.next() != nil {
                    try Files.makeDirectories(base + "/out")
                    _ = try await reader.unpack(into: base + "/out") { _ in }
                }
            }
            #expect(try Files.names(in: base + "/outside").isEmpty)
        }
        return code
    }

    @Test("An archive that is not what its index says, or leads outside, is refused")
    func refusals() async throws {
        #expect(try await outcome { $0.directory("backup/container/rootfs/") } == nil)
        #expect(try await outcome { _ in } == .invalid)
        #expect(try await outcome { $0.file("backup/container/rootfs", "x") } == .invalid)
        #expect(
            try await outcome {
                $0.directory("backup/container/rootfs/")
                $0.directory("backup/snapshots/s0/rootfs/")
            } == .invalid, "a snapshot that nobody told of")
        #expect(
            try await outcome {
                $0.directory("backup/container/rootfs/")
                $0.file("backup/apus/state/manifest.json", "{}")
            } == .invalid, "a state that nobody told of")
        let two = "name: c1\nsnapshots: [s0]\nconfig: {container: {name: c1}, snapshots: [{name: s0}]}\n"
        #expect(
            try await outcome(two) { $0.directory("backup/container/rootfs/") } == .invalid,
            "a snapshot that is missing")
        #expect(
            try await outcome(two) {
                $0.directory("backup/container/rootfs/")
                $0.directory("backup/snapshots/s0/rootfs/")
                $0.file("backup/container/rootfs/again", "x")
            } == .invalid, "a part in two places")
        #expect(
            try await outcome(two) {
                $0.directory("backup/snapshots/s0/rootfs/")
                $0.file("backup/snapshots/s0/rootfs/a", "x")
                $0.directory("backup/container/rootfs/")
                $0.hardLink("backup/container/rootfs/b", to: "backup/snapshots/s0/rootfs/a")
            } == .hostile, "a link from one part into another")
        for name in ["backup/container/rootfs/../../../outside/x", "backup/../outside/x", "../outside/x"] {
            #expect(
                try await outcome {
                    $0.directory("backup/container/rootfs/")
                    $0.file(name, "x")
                } == .hostile, "\(name)")
        }
        #expect(
            try await outcome {
                $0.directory("backup/container/rootfs/")
                $0.symlink("backup/container/rootfs/out", to: "../../outside")
                $0.file("backup/container/rootfs/out/x", "x")
            } == .hostile)
        let state =
            "name: c1\nconfig: {container: {name: c1}}\napus: {format: 1, state: true, snapshot_states: []}\n"
        #expect(
            try await outcome(state) {
                $0.directory("backup/container/rootfs/")
                $0.symlink("backup/apus/state/images", to: "../../outside")
            } == .hostile)
        #expect(
            try await outcome(limits: UnpackLimits(bytes: 8)) {
                $0.directory("backup/container/rootfs/")
                $0.file("backup/container/rootfs/a", "more than eight")
            } == .tooLarge)
        #expect(try await outcome(state.replacing("format: 1", with: "format: 2")) { _ in } == .invalid)
        #expect(try await outcome("just text") { $0.directory("backup/container/rootfs/") } == .invalid)
    }

    @Test("What cannot be used here is known by its index")
    func foreign() async throws {
        try await Host.withTemporaryDirectory { base in
            func index(_ text: String, _ config: String? = nil) async throws -> BackupIndex {
                var tar = TarBuilder()
                tar.file("backup/index.yaml", text)
                if let config { tar.file("backup/container/backup.yaml", config) }
                try tar.write(to: base + "/archive")
                return try await BackupArchive.index(base + "/archive")
            }
            let optimized = try await index("name: c1\noptimized: true\nconfig: {container: {name: c1}}\n")
            #expect(optimized.isOptimized)
            let machine = try await index(
                "name: v1\ntype: virtual-machine\nconfig: {container: {name: v1}}\n")
            #expect(machine.type == "virtual-machine")
            // LXD 3 and 4 tell of the container in its own folder only.
            let old = try await index(
                "name: c1\npool: p\nbackend: btrfs\nprivileged: false\n",
                "container: {name: c1, config: {user.a: \"1\"}}\n")
            #expect(old.instance.config == ["user.a": "1"])
            #expect(old.pool == "p")
        }
    }
}
