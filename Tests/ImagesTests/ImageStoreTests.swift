import Glibc
import Images
import LinuxSystem
import Storage
import Testing

@Suite("The image store")
struct ImageStoreTests {
    private func withStore(_ body: (ImageStore, _ base: String) async throws -> Void) async throws {
        try await Host.withTemporaryDirectory { base in
            let store = ImageStore(directory: base + "/images")
            try store.open()
            try await body(store, base)
        }
    }

    private var image: TarBuilder {
        .image { tar in
            tar.directory("templates/")
            tar.file("templates/hostname.tpl", "{{ container.name }}\n")
            tar.file("rootfs/etc/passwd", "root", owner: Host.isRoot ? 1234 : 0)
            tar.directory("rootfs/sticky/", mode: 0o1777)
        }
    }

    @Test("An image comes in, is unpacked, goes out again, and is deleted") func life() async throws {
        try await withStore { store, base in
            try image.write(to: base + "/image.tar")
            let stored = try await store.importFile(base + "/image.tar")
            #expect(stored.fingerprint == (try Fingerprint.ofFile(base + "/image.tar").0))
            #expect(stored.metadata.architecture == ImageArchitecture.current)
            #expect(stored.metadata.creationDate == 1_700_000_000)
            #expect(stored.metadata.properties == ["os": "Test"])
            #expect(!stored.wasThere)
            #expect(try await store.importFile(base + "/image.tar").wasThere)
            #expect(try store.fingerprints() == [stored.fingerprint])

            try Files.makeDirectories(base + "/volume")
            _ = try await store.unpack(stored.fingerprint, into: base + "/volume")
            var status = stat()
            lstat(base + "/volume/rootfs/etc/passwd", &status)
            #expect(status.st_uid == (Host.isRoot ? 1234 : 0) || !Host.isRoot)
            #expect(status.st_mtim.tv_sec == 1_600_000_000)
            #expect(Host.mode(base + "/volume/rootfs/sticky") == S_IFDIR | 0o1777)

            try await store.export(stored.fingerprint, to: base + "/out.tar")
            #expect(try Files.bytes(base + "/out.tar") == Files.bytes(base + "/image.tar"))
            await #expect(throws: ImageError.self) {
                try await store.export(stored.fingerprint, to: base + "/out.tar")
            }
            try await store.delete(stored.fingerprint)
            #expect(await imageError { try await store.delete(stored.fingerprint) } == .notFound)
            #expect(await imageError { _ = try await store.metadata(of: stored.fingerprint) } == .notFound)
        }
    }

    @Test("Compressed tarballs are read alike", arguments: ["gzip", "xz", "zstd", "bzip2"])
    func compressions(program: String) async throws {
        guard (try? Spawn.find(program)) != nil else { return }
        try await withStore { store, base in
            try image.write(to: base + "/image.tar")
            let packed = try await HelperProgram.succeed([program, "-c", base + "/image.tar"])
            try Files.write(base + "/packed", packed.output)
            let stored = try await store.importFile(base + "/packed")
            #expect(stored.size == UInt64(packed.output.count))
            #expect(try await store.metadata(of: stored.fingerprint).properties["os"] == "Test")
            // Every byte counts: what is cut off, or altered, is refused.
            try Files.write(base + "/cut", Array(packed.output.dropLast(packed.output.count / 3)))
            #expect(await imageError { _ = try await store.importFile(base + "/cut") } == .invalid)
        }
    }

    @Test("A file that is not what was announced is refused") func fingerprint() async throws {
        try await withStore { store, base in
            try image.write(to: base + "/image.tar")
            let wrong = String(repeating: "a", count: 64)
            let code = await imageError {
                _ = try await store.importFile(base + "/image.tar", expecting: wrong)
            }
            #expect(code == .fingerprintMismatch)
            #expect(try store.fingerprints().isEmpty)
            #expect(try Files.names(in: store.directory + "/incoming").isEmpty)
            let right = try Fingerprint.ofFile(base + "/image.tar").0
            #expect(
                try await store.importFile(base + "/image.tar", expecting: right, moving: true).fingerprint
                    == right)
            #expect(!Files.exists(base + "/image.tar"))
        }
    }

    @Test("An upload in pieces; one that is given up leaves nothing") func upload() async throws {
        try await withStore { store, base in
            try image.write(to: base + "/image.tar")
            let bytes = try Files.bytes(base + "/image.tar")
            let upload = try store.beginImport()
            for start in stride(from: 0, to: bytes.count, by: 700) {
                try bytes[start..<min(start + 700, bytes.count)].withUnsafeBytes { try upload.write($0) }
            }
            let stored = try await upload.finish()
            #expect(stored.fingerprint == (try Fingerprint.ofFile(base + "/image.tar").0))
            #expect(throws: ImageError.self) { try bytes.withUnsafeBytes { try upload.write($0) } }
            let given = try store.beginImport()
            try bytes.withUnsafeBytes { try given.write($0) }
            given.cancel()
            #expect(await imageError { _ = try await given.finish() } == .system)
            #expect(try Files.names(in: store.directory + "/incoming").isEmpty)
        }
    }

    @Test("Things that are no images are refused") func notImages() async throws {
        try await withStore { store, base in
            var noRoot = TarBuilder()
            noRoot.file("metadata.yaml", "architecture: x86_64\n")
            var noMetadata = TarBuilder()
            noMetadata.file("rootfs/etc/passwd", "")
            for (name, bytes) in [
                ("empty", []), ("text", Array("hello".utf8)), ("zeros", [UInt8](repeating: 0, count: 20000)),
                ("root", noRoot.bytes), ("metadata", noMetadata.bytes),
            ] {
                try Files.write("\(base)/\(name)", bytes)
                #expect(
                    await imageError { _ = try await store.importFile("\(base)/\(name)") } == .invalid,
                    "\(name)")
            }
            #expect(try store.fingerprints().isEmpty)
        }
    }

    @Test(
        "Only fingerprints name images",
        arguments: ["", "..", "incoming", "../../etc/passwd", "ABC", String(repeating: "g", count: 64)])
    func names(name: String) async throws {
        try await withStore { store, _ in
            #expect(!store.exists(name))
            #expect(await imageError { try await store.delete(name) } == .notFound)
        }
    }

    @Test("An image for other machines is refused") func architecture() async throws {
        try await withStore { store, base in
            try TarBuilder.image(architecture: "s390y") { _ in }.write(to: base + "/image.tar")
            #expect(await imageError { _ = try await store.importFile(base + "/image.tar") } == .invalid)
            #expect(try store.fingerprints().isEmpty)
            #expect(ImageArchitecture.isSupported(ImageArchitecture.debian))
        }
    }

    @Test("Templates give a container its name, inside its own files only") func templates() async throws {
        try await Host.withTemporaryDirectory { base in
            let volume = base + "/volume"
            try Files.makeDirectories(volume + "/templates")
            try Files.makeDirectories(volume + "/rootfs/etc")
            try Files.write(base + "/outside", "untouched")
            symlink(base + "/outside", volume + "/rootfs/etc/hosts")
            symlink(base + "/outside", volume + "/templates/link.tpl")
            try Files.write(
                volume + "/templates/name.tpl", "{{ container.name }} {{config_get(\"user.x\", \"none\")}}\n")
            try Files.write(volume + "/templates/logic.tpl", "{% if x %}{% endif %}")
            try Files.write(
                volume + "/metadata.yaml",
                """
                architecture: x86_64
                templates:
                  /etc/hostname: {when: [create, copy], template: name.tpl}
                  /etc/hosts: {when: [create], template: name.tpl}
                  /etc/once: {when: [create], template: name.tpl, create_only: true}
                  /etc/../../up: {when: [create], template: name.tpl}
                  /etc/stolen: {when: [create], template: link.tpl}
                  /etc/logic: {when: [create], template: logic.tpl}
                  /etc/later: {when: [start], template: name.tpl}
                """)
            try Files.write(volume + "/rootfs/etc/once", "mine")
            let notes = try await ImageTemplates.apply(
                .create, volume: volume, values: TemplateValues(name: "c1", config: ["user.x": "set"]))
            #expect(try Files.text(volume + "/rootfs/etc/hostname") == "c1 set\n")
            #expect(try Files.text(volume + "/rootfs/etc/hosts") == "c1 set\n")
            #expect(try Files.text(base + "/outside") == "untouched")
            #expect(try Files.text(volume + "/rootfs/etc/once") == "mine")
            #expect(try Files.text(volume + "/rootfs/up") == "c1 set\n")
            #expect(!Files.exists(volume + "/rootfs/etc/stolen"))
            #expect(!Files.exists(volume + "/rootfs/etc/later"))
            #expect(notes.count == 2)
        }
    }
}
