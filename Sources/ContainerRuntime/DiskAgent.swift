import CLinux
public import Glibc
import LinuxSystem

/// Puts disks into a running container, and takes them out.
public enum DiskPlug {
    /// Shows a disk, which is shown on the host already (`Disks.mount`), in a running container.
    public static func attach(
        _ disk: DiskMount, to spec: ContainerSpec, initPID: pid_t, program: String
    ) async throws {
        try await run(
            [
                "attach", spec.isPrivileged ? "privileged" : "mapped", disk.path, spec.diskMount(disk.name),
                disk.name,
            ],
            initPID, program)
    }

    /// Takes a disk out of a running container. If programs use it, they keep it, and this fails.
    public static func detach(
        _ disk: DiskMount, from spec: ContainerSpec, initPID: pid_t, program: String
    ) async throws {
        // The container's root may have unmounted it already.
        guard try MountInfo.of(pid: initPID).contains(where: { $0.mountPoint == disk.path }) else { return }
        try await run(
            ["detach", spec.isPrivileged ? "privileged" : "mapped", disk.path], initPID, program)
    }

    private static func run(_ arguments: [String], _ initPID: pid_t, _ program: String) async throws {
        let process = try ProcessDescriptor(pid: initPID)
        let spawn = Spawn([program, "disk"] + arguments, fds: [3: process.descriptor], directory: "/")
        let result = try await HelperProgram.run(spawn, limit: 1 << 16)
        guard result.status.isSuccess else {
            let words = result.errorText.trimmingSpaces
            throw RuntimeError(.refused, words.isEmpty ? "apus-runtime disk: \(result.status)" : words)
        }
    }
}

/// The helper behind `apus-runtime disk`: joins a container and mounts or unmounts there. Descriptor 3 is the pidfd of
/// its init. Must run while the process has one thread only.
public enum DiskAgent {
    /// Runs the helper with the arguments after `disk`.
    public static func run(_ arguments: [String]) -> Int32 {
        do {
            try work(arguments)
            return 0
        } catch {
            try? FileDescriptor(owning: 2).write("\(error)\n")
            return 1
        }
    }

    private static func work(_ arguments: [String]) throws {
        guard arguments.count >= 3 else {
            throw RuntimeError(.malformed, "apus-runtime disk: too few arguments")
        }
        let target = FileDescriptor(owning: 3)
        try target.setInheritable(false)
        let path = arguments[2]
        // Opened now, as long as this is the host's root.
        var opened: Disks.Open?
        if arguments[0] == "attach", arguments.count == 5 {
            opened = try Disks.open(
                DiskMount(name: arguments[4], source: "", path: path, readOnly: false), at: arguments[3])
        }
        umask(0o022)
        if arguments[1] == "privileged" {
            try Namespaces.enter(target, [.mount])
        } else {
            try Namespaces.enter(target, [.user, .mount])
            try check("setgroups", "drop supplementary groups") { apus_setgroups(0, nil) }
            try check("setresgid", "become the container's root") { apus_setresgid(0) }
            try check("setresuid", "become the container's root") { apus_setresuid(0) }
        }
        if let opened { try Disks.attach(opened) } else { try Disks.detach(path) }
    }
}
