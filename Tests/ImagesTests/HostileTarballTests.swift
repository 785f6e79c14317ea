import Glibc
import Images
import LinuxSystem
import Storage
import Testing

@Suite("Hostile tarballs")
struct HostileTarballTests {
    /// Unpacks a tarball beside a directory it must not reach, and returns the error.
    private func unpack(
        limits: UnpackLimits = UnpackLimits(), _ tar: TarBuilder,
        check: (_ directory: String, UnpackReport?) throws -> Void = { _, _ in }
    ) async throws -> ImageError? {
        var failure: ImageError?
        try await Host.withTemporaryDirectory { base in
            try Files.makeDirectories(base + "/outside")
            try Files.write(base + "/outside/secret", "untouched", mode: 0o600)
            try tar.write(to: base + "/image.tar")
            try Files.makeDirectories(base + "/volume")
            var report: UnpackReport?
            do {
                report = try await ImageArchive.unpack(
                    base + "/image.tar", into: base + "/volume", limits: limits)
            } catch let error as ImageError {
                failure = error
            }
            #expect(try Files.names(in: base).sorted() == ["image.tar", "outside", "volume"])
            #expect(try Files.names(in: base + "/outside") == ["secret"])
            #expect(try Files.text(base + "/outside/secret") == "untouched")
            #expect(Host.mode(base + "/outside/secret") == S_IFREG | 0o600)
            try check(base + "/volume", report)
        }
        return failure
    }

    @Test(
        "`..` is refused wherever it stands",
        arguments: [
            "../outside/new", "rootfs/../../outside/new", "rootfs/a/../../../outside/new", "/../outside/new",
            "rootfs/..",
        ])
    func parent(name: String) async throws {
        #expect(try await unpack(.image { $0.file(name, "x") })?.code == .hostile)
    }

    @Test("Absolute names are taken as relative") func absolute() async throws {
        let failure = try await unpack(
            .image { tar in
                tar.file("/rootfs/etc/new", "inside")
                tar.file("/tmp/apus-absolute", "left out")
            }
        ) { (volume, report) throws in
            #expect(try Files.text(volume + "/rootfs/etc/new") == "inside")
            #expect(report?.notes == ["tmp/apus-absolute: not part of an image, left out"])
        }
        #expect(failure == nil)
        #expect(!Files.exists("/tmp/apus-absolute"))
    }

    @Test(
        "A file through a symlink of the same tarball is refused", arguments: ["../../outside", "/", "etc"])
    func throughSymlink(target: String) async throws {
        let failure = try await unpack(
            .image { tar in
                tar.directory("rootfs/etc/")
                tar.symlink("rootfs/link", to: target)
                tar.file("rootfs/link/new", "x")
            })
        #expect(failure?.code == .hostile)
        #expect(failure?.message.contains("rootfs/link") == true)
    }

    @Test("A directory of a symlink's name replaces it, and does not reach its target") func overSymlink()
        async throws
    {
        let failure = try await unpack(
            .image { tar in
                tar.symlink("rootfs/link", to: "../../outside")
                tar.directory("rootfs/link/", mode: 0o777)
                tar.file("rootfs/link/new", "x")
            }
        ) { (volume, _) throws in
            #expect(Host.mode(volume + "/rootfs/link") == S_IFDIR | 0o777)
            #expect(try Files.text(volume + "/rootfs/link/new") == "x")
        }
        #expect(failure == nil)
    }

    @Test("A file of a symlink's name replaces it, and does not write through it") func fileOverSymlink()
        async throws
    {
        let failure = try await unpack(
            .image { tar in
                tar.symlink("rootfs/secret", to: "../../outside/secret")
                tar.file("rootfs/secret", "overwritten", mode: 0o666)
            }
        ) { (volume, _) throws in
            #expect(try Files.text(volume + "/rootfs/secret") == "overwritten")
        }
        #expect(failure == nil)
    }

    @Test("Hard links lead to files of the same image only") func hardLinks() async throws {
        let out = try await unpack(
            .image { tar in
                tar.symlink("rootfs/up", to: "../../outside")
                tar.hardLink("rootfs/stolen", to: "rootfs/up/secret")
            })
        #expect(out?.code == .hostile)
        for target in ["../outside/secret", "metadata.yaml", "/etc/passwd", "templates/x"] {
            let failure = try await unpack(.image { $0.hardLink("rootfs/stolen", to: target) })
            #expect(failure?.code == .hostile, "\(target)")
        }
        #expect(
            try await unpack(.image { $0.hardLink("rootfs/stolen", to: "rootfs/missing") })?.code == .invalid)
        let good = try await unpack(
            .image { tar in
                tar.file("rootfs/one", "both")
                tar.hardLink("rootfs/dir/two", to: "rootfs/one")
            }
        ) { (volume, _) throws in
            #expect(try Files.text(volume + "/rootfs/dir/two") == "both")
        }
        #expect(good == nil)
    }

    @Test("A hard link to a symlink that leads out does not open its target") func hardLinkToSymlink()
        async throws
    {
        let failure = try await unpack(
            .image { tar in
                tar.symlink("rootfs/link", to: "../../outside/secret")
                tar.hardLink("rootfs/again", to: "rootfs/link")
                tar.file("rootfs/again", "written")
            }
        ) { (volume, _) throws in
            #expect(try Files.text(volume + "/rootfs/again") == "written")
            #expect(Host.mode(volume + "/rootfs/link") & S_IFMT == S_IFLNK)
        }
        #expect(failure == nil)
    }

    @Test("The parts of an image cannot be symlinks: this process reads them") func partsAreNoLinks()
        async throws
    {
        for name in ["rootfs", "templates", "metadata.yaml", "templates/hosts.tpl"] {
            var tar = TarBuilder()
            tar.symlink(name, to: "../outside/secret")
            #expect(try await unpack(tar)?.code == .hostile, "\(name)")
        }
    }

    @Test("Devices are not made, fifos and setuid are") func devices() async throws {
        let failure = try await unpack(
            .image { tar in
                tar.device("rootfs/dev/null")
                tar.fifo("rootfs/fifo")
                tar.file("rootfs/su", "x", mode: 0o4755)
            }
        ) { (volume, report) throws in
            #expect(!Files.exists(volume + "/rootfs/dev/null"))
            #expect(report?.notes == ["rootfs/dev/null: a device or socket, not made"])
            #expect(Host.mode(volume + "/rootfs/fifo") == S_IFIFO | 0o620)
            #expect(Host.mode(volume + "/rootfs/su") == S_IFREG | 0o4755)
        }
        #expect(failure == nil)
    }

    @Test("Attributes that rule the host are left out") func attributes() async throws {
        let failure = try await unpack(
            .image { tar in
                tar.extended([
                    ("SCHILY.xattr.user.note", Array("kept".utf8)),
                    ("SCHILY.xattr.security.selinux", Array("system_u".utf8)),
                    ("SCHILY.xattr.trusted.overlay.opaque", Array("y".utf8)),
                    ("SCHILY.xattr.security.capability", [UInt8](repeating: 1, count: 24)),
                ])
                tar.file("rootfs/file", "x")
            }
        ) { (_, report) throws in
            #expect(report?.notes.count == 3)
            #expect(report?.notes.contains { $0.contains("user.note") } == false)
        }
        #expect(failure == nil)
    }

    @Test("Bombs end at the limits") func bombs() async throws {
        let small = UnpackLimits(bytes: 1 << 20, entries: 100, fileSize: 1 << 21)
        let large = TarBuilder.image { tar in
            for index in 0..<3 { tar.file("rootfs/f\(index)", String(repeating: "x", count: 400_000)) }
        }
        #expect(try await unpack(limits: small, large)?.code == .tooLarge)
        let many = TarBuilder.image { tar in for index in 0..<200 { tar.file("rootfs/f\(index)", "") } }
        #expect(try await unpack(limits: small, many)?.code == .tooLarge)
        let claim = TarBuilder.image { $0.claim("rootfs/huge", size: 7 << 30) }
        #expect(try await unpack(limits: small, claim)?.code == .tooLarge)
        let deep = TarBuilder.image { tar in
            tar.extended([("path", Array(("rootfs/" + String(repeating: "d/", count: 1000) + "f").utf8))])
            tar.file("x", "x")
        }
        #expect(try await unpack(limits: small, deep)?.code == .invalid)
    }

    @Test("A truncated tarball is refused", arguments: [700, 1024 + 512 + 200, 5000])
    func truncated(length: Int) async throws {
        try await Host.withTemporaryDirectory { base in
            let tar = TarBuilder.image { $0.file("rootfs/file", String(repeating: "x", count: 8000)) }
            try Files.write(base + "/image.tar", Array(tar.bytes.prefix(length)))
            let store = ImageStore(directory: base + "/images")
            try store.open()
            #expect(await imageError { _ = try await store.importFile(base + "/image.tar") } == .invalid)
            #expect(try store.fingerprints().isEmpty)
            #expect(try Files.names(in: base + "/images/incoming").isEmpty)
        }
    }

    @Test("Owners that are none, and metadata that is none, are refused") func nonsense() async throws {
        let owner = TarBuilder.image { tar in
            tar.extended([("uid", Array("4294967295".utf8))])
            tar.file("rootfs/file", "x")
        }
        #expect(try await unpack(owner)?.code == .invalid)
        try await Host.withTemporaryDirectory { base in
            let bomb =
                "a: &a [x,x]\n"
                + (0..<30).map {
                    "a\($0): &a\($0) [*a\($0 == 0 ? "" : String($0 - 1)),*a\($0 == 0 ? "" : String($0 - 1))]\n"
                }.joined()
            for text in ["", "just text", "[1, 2]", "properties: {}", "architecture: [x]", "\u{1}", bomb] {
                var tar = TarBuilder()
                tar.file("metadata.yaml", text)
                tar.directory("rootfs/")
                try tar.write(to: base + "/image.tar")
                let code = await imageError { _ = try await ImageArchive.inspect(base + "/image.tar") }
                #expect(code == .invalid, "\(text.prefix(20))")
            }
        }
    }

    @Test("Names that are not ASCII, or not even text, come out as they are") func names() async throws {
        let failure = try await unpack(
            .image { tar in
                tar.extended([("path", Array("rootfs/Főtanúsítvány".utf8))])
                tar.file("x", "unicode")
                tar.extended([
                    ("path", Array("rootfs/".utf8) + Array(repeating: UInt8(ascii: "n"), count: 200))
                ])
                tar.file("x", "long")
            }
        ) { (volume, _) throws in
            #expect(try Files.text(volume + "/rootfs/Főtanúsítvány") == "unicode")
            #expect(try Files.text(volume + "/rootfs/" + String(repeating: "n", count: 200)) == "long")
        }
        #expect(failure == nil)
    }
}
