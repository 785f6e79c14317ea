import Glibc
import LinuxSystem
import Storage

/// Builds an image of a release of Debian with mmdebstrap, from the mirror this machine's apt uses.
struct DebianImageBuilder: Sendable {
    let release: DebianRelease
    let recipe: ImageRecipe

    /// What an ordinary system container has beyond the essential packages.
    static let packages = [
        "systemd-sysv", "dbus", "libpam-systemd", "systemd-resolved", "iproute2", "procps", "cron",
        "iputils-ping",
        "netbase", "ca-certificates", "less", "nano", "adduser", "sensible-utils", "whiptail",
        "libnss-myhostname",
    ]

    /// Builds the tarball at `path`.
    func build(_ path: String, progress: @escaping @Sendable (BuildProgress) -> Void) async throws {
        let mirror = try await AptMirror.ofThisMachine()
        let arguments =
            [
                "mmdebstrap", "--mode=root", "--format=tar", "--variant=minbase", "--verbose",
                "--architectures=\(ImageArchitecture.debian)",
                "--include=\(Self.packages.joined(separator: ","))", release.suite, "-",
            ] + mirror.sources(for: release)
        let output = try FileDescriptor.pipe()
        let messages = try FileDescriptor.pipe()
        let work = path.split(separator: "/").dropLast().joined(separator: "/")
        var environment = Environment.all
        environment["TMPDIR"] = "/" + work
        environment["LC_ALL"] = "C"
        environment["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        let process: ProcessDescriptor
        do {
            process = try Spawn(
                arguments, environment: environment, fds: [1: output.write, 2: messages.write]
            ).configured { $0.newSession = true }.start()
        } catch {
            throw ImageError(
                .buildFailed,
                "cannot build \(recipe.name): \(error). Debian images are built by mmdebstrap: install it")
        }
        output.write.close()
        messages.write.close()
        try await withTaskCancellationHandler {
            async let tail = Blocking.run { Self.follow(messages.read, progress: progress) }
            var packing: (any Error)?
            do {
                try await Blocking.run { try pack(output.read, to: path) }
            } catch {
                packing = error
                // mmdebstrap cleans up after SIGTERM: it has mounts in its temporary directory.
                process.signal(SIGTERM)
                output.read.close()
            }
            let lastWords = try await tail
            let status = try await process.waitForExit()
            try Task.checkCancellation()
            if !status.isSuccess && packing.map({ ($0 as? ImageError)?.code == .invalid }) != false {
                throw ImageError(
                    .buildFailed, "cannot build \(recipe.name): mmdebstrap ended with \(status): \(lastWords)"
                )
            }
            if let packing { throw packing }
        } onCancel: {
            process.signal(SIGTERM)
        }
    }

    /// Makes an image out of the plain root file system that mmdebstrap writes.
    private func pack(_ tar: FileDescriptor, to path: String) throws {
        let parts = self.parts
        let replaced = Set(parts.map(\.path))
        try TarReader.withUnicodeNames {
            let reader = try TarReader(descriptor: tar.rawValue, name: "the new root file system")
            let writer = try TarWriter(path: path)
            try writer.addHead(recipe.metadata(templates: BuiltTemplates.metadata))
            while let entry = try reader.next() {
                let name = EntryPath.normalized(entry.path)
                // Device nodes are the runtime's business.
                if replaced.contains(name) || name.hasPrefix("dev/") { continue }
                let target = name.isEmpty ? "rootfs/" : "rootfs/" + name
                let link = entry.hardLink.map { "rootfs/" + EntryPath.normalized($0) }
                try writer.add(entry, from: reader, as: target, hardLink: link)
            }
            for part in parts { try writer.add(part) }
            try writer.finish()
        }
    }

    /// What Debian's packages leave to whoever installs them. The host's own files that mmdebstrap takes over
    /// for the time of the build (hostname, hosts, resolv.conf) are replaced.
    private var parts: [ImagePart] {
        [
            .file("etc/hostname", "debian\n"),
            .file("etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"),
            .file("etc/machine-id", ""),
            .file("etc/default/locale", "LANG=C.UTF-8\n"),
            .file("etc/timezone", "Etc/UTC\n"),
            .symlink("etc/localtime", to: "/usr/share/zoneinfo/Etc/UTC"),
            .symlink("etc/resolv.conf", to: "../run/systemd/resolve/stub-resolv.conf"),
            .file(
                "etc/systemd/network/eth0.network",
                """
                [Match]
                Name=eth0

                [Network]
                DHCP=yes

                [DHCPv4]
                ClientIdentifier=mac

                """),
            // Enabled as its package would, but for wait-online: nothing needs to wait for a network to boot.
            .symlink(
                "etc/systemd/system/multi-user.target.wants/systemd-networkd.service",
                to: "/lib/systemd/system/systemd-networkd.service"),
            .symlink(
                "etc/systemd/system/sockets.target.wants/systemd-networkd.socket",
                to: "/lib/systemd/system/systemd-networkd.socket"),
            .symlink(
                "etc/systemd/system/dbus-org.freedesktop.network1.service",
                to: "/lib/systemd/system/systemd-networkd.service"),
        ]
    }

    /// Reads mmdebstrap's messages to their end, and returns the last that tell of an error.
    private static func follow(
        _ messages: FileDescriptor, progress: @Sendable (BuildProgress) -> Void
    ) -> String {
        var parser = BootstrapProgressParser()
        var rest: [UInt8] = []
        var errors: [String] = []
        while let part = try? messages.read(upTo: 4096), !part.isEmpty {
            rest.append(contentsOf: part)
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: rest[..<end], as: UTF8.self)
                rest.removeFirst(end + 1)
                if let now = parser.take(line[...]) { progress(now) }
                if line.hasPrefix("E: ") || line.hasPrefix("W: ") || line.hasPrefix("Err:") {
                    errors.append(line)
                    if errors.count > 5 { errors.removeFirst() }
                }
            }
        }
        return errors.joined(separator: "; ")
    }
}

extension EntryPath {
    /// A path of a tarball this machine made itself, without `./` and `/` around it.
    static func normalized(_ path: String) -> String {
        path.split(separator: "/", omittingEmptySubsequences: true).filter { $0 != "." }.joined(
            separator: "/")
    }
}
