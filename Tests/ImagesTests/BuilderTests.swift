import Glibc
import Images
import LinuxSystem
import Storage
import Testing

@Suite("Images built here")
struct BuilderTests {
    @Test("mmdebstrap's lines become phases and percents that only grow") func progress() {
        var parser = BootstrapProgressParser()
        var seen: [BuildProgress] = []
        let lines = [
            "I: automatically chosen mode: root", "I: running apt-get update...",
            "Get:1 http://mirror.example/debian bookworm InRelease [151 kB]",
            "I: downloading packages with apt...",
            "0 upgraded, 4 newly installed, 0 to remove and 0 not upgraded.",
            "Get:1 http://mirror.example/debian bookworm/main amd64 a [1 kB]",
            "Get:2 http://mirror.example/debian bookworm/main amd64 b [1 kB]", "I: extracting archives...",
            "I: installing essential packages...", "I: installing remaining packages inside the chroot...",
            "0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.", "Unpacking a (1) ...",
            "Unpacking b (1) ...", "Setting up a (1) ...", "Setting up b (1) ...", "Setting up c (1) ...",
            "I: cleaning package lists and apt cache...", "I: creating tarball...", "I: done", "E: nothing",
        ]
        for line in lines { if let next = parser.take(line[...]) { seen.append(next) } }
        #expect(zip(seen, seen.dropFirst()).allSatisfy { $0.percent <= $1.percent })
        #expect(seen.first == BuildProgress(phase: "Updating package lists", percent: 1))
        #expect(seen.contains(BuildProgress(phase: "Downloading packages", percent: 15)))
        #expect(seen.contains(BuildProgress(phase: "Installing packages", percent: 71)))
        #expect(seen.last?.phase == "Packing")
        #expect(seen.allSatisfy { (0...100).contains($0.percent) })
    }

    @Test("Aliases of one image lead to one recipe; unknown ones are named") func aliases() throws {
        let twelve = try ImageRecipe(alias: "12")
        for alias in ["bookworm", "debian/12", "debian/bookworm", "Bookworm"] {
            #expect(try ImageRecipe(alias: alias) == twelve)
        }
        #expect(twelve.name == "debian/12")
        #expect(try ImageRecipe(alias: "testing").name == "debian/testing")
        #expect(try ImageRecipe(alias: "busybox").name == "busybox")
        for alias in ["", "99", "../etc", "ubuntu", "12 ; rm", "debian/"] {
            #expect(throws: ImageError.self) { try ImageRecipe(alias: alias) }
        }
    }

    @Test("The machine's Debian mirror is found among its sources") func mirror() throws {
        let mirror = try #require(
            AptMirror(
                targets: """
                    https://other.example/apt|stable|Other
                    http://mirror.example/debian/|bookworm|Debian
                    http://mirror.example/debian/|bookworm-updates|Debian
                    http://mirror.example/debian/|bookworm-backports|Debian Backports
                    http://security.example/debian-security/|bookworm-security|Debian
                    """))
        let trixie = try #require(DebianRelease("13"))
        #expect(
            mirror.sources(for: trixie) == [
                "deb http://mirror.example/debian/ trixie main",
                "deb http://mirror.example/debian/ trixie-updates main",
                "deb http://security.example/debian-security/ trixie-security main",
            ])
        let sid = try #require(DebianRelease("unstable"))
        #expect(mirror.sources(for: sid) == ["deb http://mirror.example/debian/ sid main"])
        #expect(AptMirror(targets: "https://other.example/apt|stable|Other") == nil)
        // Before the first update apt knows no origins.
        #expect(AptMirror(targets: "http://mirror.example/debian/|bookworm|")?.security == nil)
        #expect(AptMirror(targets: "") == nil)
    }

    @Test(
        "A busybox image is built, imported, unpacked and named",
        .enabled(if: Host.isRoot && Files.exists("/bin/busybox"), "needs root and busybox-static"))
    func busybox() async throws {
        try await Host.withTemporaryDirectory { base in
            let store = ImageStore(directory: base + "/images")
            try store.open()
            let path = try await ImageRecipe(alias: "busybox").build(in: base + "/build") { _ in }
            let image = try await store.importFile(path, moving: true)
            #expect(image.metadata.properties["os"] == "BusyBox")
            let driver = DirDriver(path: base + "/pool")
            try await driver.createPool()
            try await driver.create(.image(fingerprint: image.fingerprint)) { directory in
                _ = try await store.unpack(image.fingerprint, into: directory)
            }
            try await driver.copy(.image(fingerprint: image.fingerprint), to: .container("c1"))
            let notes = try await ImageTemplates.apply(
                .create, volume: driver.directory(of: .container("c1")), values: TemplateValues(name: "c1"))
            #expect(notes.isEmpty)
            let root = driver.rootfs(of: .container("c1"))
            #expect(try Files.text(root + "/etc/hostname") == "c1\n")
            #expect(try Files.readLink(root + "/sbin/init") == "../bin/busybox")
            #expect(Host.mode(root + "/bin/busybox") == S_IFREG | 0o755)
            #expect(
                try await HelperProgram.succeed(["chroot", root, "/bin/busybox", "echo", "ok"]).text == "ok\n"
            )
            #expect(try Files.names(in: base + "/build").isEmpty)
        }
    }
}
