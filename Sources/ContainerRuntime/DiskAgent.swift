import CLinux
public import Glibc
import LinuxSystem

/// Puts disks into a running container, and takes them out: of init's mount namespace and of those of services.
public enum DiskPlug {
    /// Shows a disk, which is shown on the host already (`Disks.mount`), in a running container.
    /// - Returns: the services that do not show it, because their place for it is hidden or missing.
    public static func attach(
        _ disk: DiskMount, to spec: ContainerSpec, initPID: pid_t, program: String
    ) async throws -> [String] {
        let run = Run(spec: spec, program: program)
        try await run("attach", disk, in: try ProcessDescriptor(pid: initPID))
        var without: [String] = []
        for service in try ServiceNamespaces.members(of: spec, initPID: initPID) {
            do {
                try await run.join(disk, in: service.process)
            } catch {
                without.append(service.name)
            }
        }
        return without
    }

    /// Takes a disk out of a running container. If programs use it, they keep it, and this fails.
    public static func detach(
        _ disk: DiskMount, from spec: ContainerSpec, initPID: pid_t, program: String
    ) async throws {
        let run = Run(spec: spec, program: program)
        try await withRollback { rollback in
            for service in try ServiceNamespaces.members(of: spec, initPID: initPID) {
                guard try await run.detach(disk, from: service.process) else { continue }
                rollback.add { try await run.join(disk, in: service.process) }
            }
            try await run.detach(disk, from: try ProcessDescriptor(pid: initPID))
        }
    }

    /// Runs the helper, for one mount namespace.
    private struct Run {
        let spec: ContainerSpec
        let program: String

        func callAsFunction(_ verb: String, _ disk: DiskMount, in process: ProcessDescriptor) async throws {
            let arguments = [
                program, "disk", verb, spec.isPrivileged ? "privileged" : "mapped", disk.path,
                spec.diskMount(disk.name), disk.name,
            ]
            let spawn = Spawn(arguments, fds: [3: process.descriptor], directory: "/")
            let result = try await HelperProgram.run(spawn, limit: 1 << 16)
            guard result.status.isSuccess else {
                let words = result.errorText.trimmingSpaces
                throw RuntimeError(.refused, words.isEmpty ? "apus-runtime disk: \(result.status)" : words)
            }
        }

        /// In a service's namespace: read only where the service may write nowhere; not at all where it is already.
        func join(_ disk: DiskMount, in process: ProcessDescriptor) async throws {
            let mounts = try MountInfo.of(pid: process.pid)
            guard !mounts.contains(where: { $0.mountPoint == disk.path }) else { return }
            let isReadOnly = mounts.last { $0.mountPoint == "/" }?.options.contains("ro") ?? false
            try await self(isReadOnly ? "join-read-only" : "join", disk, in: process)
        }

        /// False if it is not there: the container's root may have unmounted it already.
        @discardableResult
        func detach(_ disk: DiskMount, from process: ProcessDescriptor) async throws -> Bool {
            guard try MountInfo.of(pid: process.pid).contains(where: { $0.mountPoint == disk.path }) else {
                return false
            }
            try await callAsFunction("detach", disk, in: process)
            return true
        }
    }
}

/// The helper behind `apus-runtime disk`: joins a mount namespace of a container and mounts or unmounts there.
/// Descriptor 3 is the pidfd of a process in it. Must run while the process has one thread only.
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
        guard arguments.count == 5 else {
            throw RuntimeError(.malformed, "apus-runtime disk: five arguments are needed")
        }
        let target = FileDescriptor(owning: 3)
        try target.setInheritable(false)
        let (verb, path) = (arguments[0], arguments[2])
        // Opened now, as long as this is the host's root.
        var opened: Disks.Open?
        if verb != "detach" {
            let disk = DiskMount(name: arguments[4], source: "", path: path, readOnly: false)
            opened = try Disks.open(disk, at: arguments[3])
        }
        if verb == "join-read-only", let opened { try Disks.protect(opened) }
        umask(0o022)
        if arguments[1] == "privileged" {
            try Namespaces.enter(target, [.mount])
        } else {
            try Namespaces.enter(target, [.user, .mount])
            try check("setgroups", "drop supplementary groups") { apus_setgroups(0, nil) }
            try check("setresgid", "become the container's root") { apus_setresgid(0) }
            try check("setresuid", "become the container's root") { apus_setresuid(0) }
        }
        switch (verb, opened) {
        case ("attach", let opened?): try Disks.attach(opened)
        case ("detach", _): try Disks.detach(path)
        case (_, let opened?): try Disks.place(opened)
        default: break
        }
    }
}
