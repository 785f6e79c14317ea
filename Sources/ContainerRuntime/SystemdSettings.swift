import Glibc
import LinuxSystem

/// What systemd has to be told so that a container can be checkpointed. It is told by way of its environment
/// and of drop-ins in /run, which no package owns and no update looks at; the root file system is not
/// touched.
enum SystemdSettings {
    /// systemd ≥ 257 comes back broken when PID 1 holds a `*.pressure` file: epoll reports it for ever.
    static let environment = [
        "MEMORY_PRESSURE_WATCH": "/dev/null", "CPU_PRESSURE_WATCH": "/dev/null",
        "IO_PRESSURE_WATCH": "/dev/null",
    ]

    /// A drop-in of one unit hides one of all services that has the same name: each name is used once.
    private static let fileNames = [
        "service.d": "zz-apus-checkpoint.conf", "systemd-resolved.service.d": "zz-apus-checkpoint-tmp.conf",
        "systemd-hostnamed.service.d": "zz-apus-checkpoint-net.conf",
        "systemd-localed.service.d": "zz-apus-checkpoint-net.conf",
    ]

    private static func dropIns(version: Int?) -> [String: String] {
        // An older systemd complains of settings it does not know, once for each service.
        let pressure = (version ?? 0) >= 254 ? "MemoryPressureWatch=off\n" : ""
        return [
            // Services with PrivateUsers=yes end with 217/USER where a user namespace is refused.
            "service.d": "[Service]\nPrivateUsers=no\n" + pressure,
            // CRIU: "./var/tmp doesn't have a proper root mount": without it /tmp is a part of a tmpfs
            // mounted nowhere.
            "systemd-resolved.service.d": "[Service]\nPrivateTmp=yes\n",
            // They come and go by themselves, for a name that DHCP brings for one. CRIU: "Unable to dump more than one
            // netns if the --emptyns is set".
            "systemd-hostnamed.service.d": "[Service]\nPrivateNetwork=no\n",
            "systemd-localed.service.d": "[Service]\nPrivateNetwork=no\n",
        ]
    }

    /// The version of the systemd below a root directory, by the name of its library; symlinks cannot lead
    /// out.
    static func version(root path: String) -> Int? {
        guard let root = try? FileDescriptor.open(path, OpenFlags.path | O_DIRECTORY) else { return nil }
        func names(_ path: String) -> [String] {
            guard
                let directory = try? root.open(
                    at: path, O_RDONLY | O_DIRECTORY, resolve: [.inRoot, .noMagicLinks])
            else { return [] }
            return (try? DirectoryReader.names(directory)) ?? []
        }
        let libraries = names("usr/lib").filter { $0.hasSuffix("-linux-gnu") }.map { "usr/lib/\($0)/systemd" }
        for directory in ["usr/lib/systemd", "lib/systemd"] + libraries {
            for name in names(directory) where name.hasPrefix("libsystemd-shared-") {
                return Int(name.dropFirst("libsystemd-shared-".count).prefix { $0.isNumber })
            }
        }
        return nil
    }

    /// Mounts /run as systemd would (it keeps one that is there), with the drop-ins in it.
    static func mountRun() throws {
        let dropIns = dropIns(version: version(root: "/"))
        try Files.makeDirectories("/run")
        try Mount.mount(
            "tmpfs", on: "/run", type: "tmpfs", flags: [.noSUID, .noDevices], options: "mode=755")
        for (directory, text) in dropIns {
            let path = "/run/systemd/system/" + directory
            try Files.makeDirectories(path)
            try Files.write(path + "/" + (fileNames[directory] ?? "zz-apus.conf"), text, mode: 0o644)
        }
    }
}
