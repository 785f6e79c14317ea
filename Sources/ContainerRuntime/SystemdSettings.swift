import Glibc
import LinuxSystem

/// What systemd has to be told so that a container can be checkpointed. It is told by way of its environment and of
/// drop-ins in /run, which no package owns and no update looks at; the root file system is not touched.
enum SystemdSettings {
    /// systemd ≥ 257 comes back broken when PID 1 holds a `*.pressure` file: epoll reports it for ever.
    static let environment = [
        "MEMORY_PRESSURE_WATCH": "/dev/null", "CPU_PRESSURE_WATCH": "/dev/null", "IO_PRESSURE_WATCH": "/dev/null",
    ]

    /// A drop-in of the same name for one unit would hide this one: the name is nobody else's.
    private static let fileName = "zz-apus-checkpoint.conf"

    private static let dropIns = [
        // Services with PrivateUsers=yes end with 217/USER where a user namespace is refused.
        "service.d": "[Service]\nPrivateUsers=no\nMemoryPressureWatch=off\n",
        // CRIU: "./var/tmp doesn't have a proper root mount": without it /tmp is a part of a tmpfs mounted nowhere.
        "systemd-resolved.service.d": "[Service]\nPrivateTmp=yes\n",
    ]

    /// Mounts /run as systemd would (it keeps one that is there), with the drop-ins in it.
    static func mountRun() throws {
        try Files.makeDirectories("/run")
        try Mount.mount("tmpfs", on: "/run", type: "tmpfs", flags: [.noSUID, .noDevices], options: "mode=755")
        for (directory, text) in dropIns {
            let path = "/run/systemd/system/" + directory
            try Files.makeDirectories(path)
            try Files.write(path + "/" + fileName, text, mode: 0o644)
        }
    }
}
