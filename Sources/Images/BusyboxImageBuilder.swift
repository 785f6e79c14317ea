import Glibc
import LinuxSystem
import Storage

/// Builds a tiny system out of this machine's busybox: made in a moment, good for trials and tests.
struct BusyboxImageBuilder: Sendable {
    let recipe: ImageRecipe

    private static let program = "/bin/busybox"

    /// Builds the tarball at `path`.
    func build(_ path: String, progress: @escaping @Sendable (BuildProgress) -> Void) async throws {
        progress(BuildProgress(phase: "Packing", percent: 10))
        let binary: [UInt8]
        let applets: [String]
        do {
            binary = try await Blocking.run { try Files.bytes(Self.program) }
            applets = try await HelperProgram.succeed([Self.program, "--list-full"]).text
                .split(separator: "\n").map { EntryPath.normalized(String($0)) }
        } catch {
            throw ImageError(
                .buildFailed, "cannot build \(recipe.name): \(error). Install the package busybox-static")
        }
        guard !Self.needsInterpreter(binary) else {
            throw ImageError(
                .buildFailed,
                "cannot build \(recipe.name): \(Self.program) needs libraries. Install the package busybox-static"
            )
        }
        try await Blocking.run { try pack(binary, applets: applets, to: path) }
        progress(BuildProgress(phase: "Packing", percent: 100))
    }

    private func pack(_ binary: [UInt8], applets: [String], to path: String) throws {
        let writer = try TarWriter(path: path)
        try writer.addHead(recipe.metadata(templates: BuiltTemplates.metadata))
        try writer.addDirectory("rootfs/")
        for part in Self.directories { try writer.add(part) }
        try writer.addFile("rootfs/bin/busybox", binary, mode: 0o755)
        for applet in applets where applet != "bin/busybox" && applet != "linuxrc" {
            let depth = applet.split(separator: "/").count - 1
            let up = String(repeating: "../", count: depth)
            try writer.add(.symlink(applet, to: up + "bin/busybox"))
        }
        for part in Self.files { try writer.add(part) }
        try writer.finish()
    }

    private static let directories: [ImagePart] = [
        .directory("bin"), .directory("sbin"), .directory("usr"), .directory("usr/bin"),
        .directory("usr/sbin"),
        .directory("etc"), .directory("etc/init.d"), .directory("dev"), .directory("proc"), .directory("sys"),
        .directory("run"), .directory("var"), .directory("var/log"), .directory("var/spool"),
        .directory("var/spool/cron"), .directory("var/spool/cron/crontabs"), .directory("home"),
        .directory("mnt"),
        .directory("root", mode: 0o700), .directory("tmp", mode: 0o1777),
    ]

    private static let files: [ImagePart] = [
        .file("etc/hostname", "busybox\n"),
        .file("etc/hosts", "127.0.0.1\tlocalhost\n"),
        .file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
        .file("etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
        .file("etc/shadow", "root:*::0:99999:7:::\n", mode: 0o600),
        .file("etc/profile", "export PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"),
        .file(
            "etc/inittab",
            """
            ::sysinit:/etc/init.d/rcS
            ::respawn:/sbin/syslogd -n
            ::respawn:/usr/sbin/crond -f
            console::askfirst:-/bin/sh
            ::restart:/sbin/init

            """),
        .file(
            "etc/init.d/rcS",
            """
            #!/bin/sh
            /sbin/ifconfig lo 127.0.0.1 up

            """, mode: 0o755),
    ]

    /// Whether a 64-bit ELF program asks for a dynamic linker (PT_INTERP).
    private static func needsInterpreter(_ elf: [UInt8]) -> Bool {
        func number(_ offset: Int, _ size: Int) -> Int {
            guard offset >= 0, offset + size <= elf.count else { return 0 }
            return (0..<size).reduce(0) { $0 | Int(elf[offset + $1]) << (8 * $1) }
        }
        guard elf.count > 64, elf.starts(with: [0x7F, 0x45, 0x4C, 0x46, 2]) else { return false }
        let table = number(32, 4)
        let size = number(54, 2)
        return (0..<number(56, 2)).contains { number(table + $0 * size, 4) == 3 }
    }
}
