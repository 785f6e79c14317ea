import ApusAPI
import ContainerRuntime
import Glibc
import LinuxSystem
import Logging
import Storage

/// A custom volume, or a path of the host, shown in a container.
struct DiskDevice: DeviceType {
    let title = "`disk` with another path"
    let summary = """
        A custom volume of a storage pool (`pool` and `source`), or a directory or file of the host (`source`), shown in \
        the container at `path`. Its ids are mapped: what belongs to root there belongs to the container's root. \
        Snapshots of the container do not contain it. Added to a running container it is there at once, also for services \
        with mounts of their own (`PrivateMounts=`, `ProtectSystem=` …); only those from which its place is hidden \
        (`PrivateTmp=`, `InaccessiblePaths=` …) need a restart, and the daemon's log names them.
        """
    let checkpoint = """
        yes. The state has which disk is shown where, but not its content: restored programs find the disk as it is \
        then. A restored container needs the disks it was saved with.
        """
    let keys: [DeviceKey] = [
        DeviceKey(
            "optional", .bool, default: "false",
            "Whether the container starts without it when its source is missing"),
        DeviceKey("path", .text, required: true, "Where it is shown inside; made if it is not there"),
        DeviceKey(
            "pool", .text, default: "none: `source` is a path of the host", "The storage pool of the volume"),
        DeviceKey("readonly", .bool, default: "false", "Whether nothing in it can be changed from inside"),
        DeviceKey("source", .text, required: true, "The volume's name, or a path of the host"),
    ]

    func describes(_ device: Device) -> Bool { device.type == "disk" && device["path"] != "/" }

    func check(_ device: Device) throws {
        let path = device["path"] ?? ""
        guard Self.isPlain(path) else {
            throw device.refuse("\"\(path)\" is not an absolute path without \".\", \"..\" and \"//\"")
        }
        for taken in ["/proc", "/sys", "/dev"] where path == taken || path.hasPrefix(taken + "/") {
            throw device.refuse("nothing can be shown at \"\(path)\": \(taken) is the container's own")
        }
        guard device["pool"] == nil else { return }
        let source = device["source"] ?? ""
        guard Self.isPlain(source) else {
            throw device.refuse(
                "the source \"\(source)\" is neither a volume (then give its pool) nor an absolute path of the host"
            )
        }
        for dangerous in ["/proc", "/sys", "/dev"]
        where source == dangerous || source.hasPrefix(dangerous + "/") {
            throw device.refuse(
                "\"\(source)\" cannot be shown in a container: it would let it change the host itself")
        }
    }

    func check(_ device: Device, of owner: DeviceOwner, in services: DeviceServices) async throws {
        for (name, other) in owner.devices
        where name != device.name && other["type"] == "disk" && other["path"] == device["path"] {
            throw device.refuse("device \"\(name)\" is at \"\(other["path"] ?? "")\" already")
        }
        _ = try source(device, services)
    }

    /// What is to be shown; nil if it is missing and may be.
    private func source(_ device: Device, _ services: DeviceServices) throws -> String? {
        let given = device["source"] ?? ""
        let isOptional = device["optional"].flatMap(ConfigValues.bool) ?? false
        if let pool = device["pool"] {
            let driver = try services.pools.driver(pool)
            guard Volume.isValidName(given), driver.exists(.custom(given)) else {
                if isOptional { return nil }
                throw device.refuse("storage pool \"\(pool)\" has no volume \"\(given)\"; create it first")
            }
            return driver.rootfs(of: .custom(given))
        }
        guard let real = realpath(given, nil) else {
            if isOptional { return nil }
            throw device.refuse(
                "there is nothing at \"\(given)\" on the host; make it first, or set optional=true")
        }
        defer { free(real) }
        let path = String(cString: real)
        // Also by way of a symlink.
        var resolved = device.config
        resolved["source"] = path
        try check(Device(device.name, resolved))
        let own = services.context.directory.path
        if path == own || path.hasPrefix(own + "/") || own.hasPrefix(path + "/") {
            throw device.refuse("\"\(given)\" has, or lies in, the daemon's own directory \(own)")
        }
        var status = stat()
        guard stat(path, &status) == 0, [S_IFDIR, S_IFREG].contains(status.st_mode & S_IFMT) else {
            throw device.refuse("\"\(given)\" is neither a directory nor a regular file")
        }
        return path
    }

    private func contribution(_ device: Device, _ services: DeviceServices) throws -> DeviceContribution {
        var contribution = DeviceContribution()
        contribution.disk = try source(device, services).map {
            DiskMount(
                name: device.name, source: $0, path: device["path"] ?? "",
                readOnly: device["readonly"].flatMap(ConfigValues.bool) ?? false)
        }
        return contribution
    }

    func start(
        _ device: Device, of owner: DeviceOwner, in services: DeviceServices, _ rollback: Rollback
    ) async throws -> DeviceContribution { try contribution(device, services) }

    func plug(
        _ device: Device, into container: RunningOwner, in services: DeviceServices
    ) async throws -> DeviceContribution {
        let contribution = try contribution(device, services)
        guard let disk = contribution.disk else { return contribution }
        let live = container.live
        try await refusing(device) {
            try await withRollback { rollback in
                rollback.add { try Disks.unmount(disk.name, of: live.spec) }
                try Disks.mount(disk, of: live.spec)
                let without = try await DiskPlug.attach(
                    disk, to: live.spec, initPID: live.initPID, program: services.context.launcher.program)
                guard !without.isEmpty else { return }
                services.context.logger.notice(
                    "services see a disk only after a restart of theirs",
                    metadata: [
                        "instance": "\(container.owner.name)", "device": "\(device.name)",
                        "services": "\(without.joined(separator: " "))",
                    ])
            }
        }
        return contribution
    }

    func unplug(
        _ device: Device, _ contribution: DeviceContribution, from container: RunningOwner,
        in services: DeviceServices
    ) async throws {
        guard let disk = contribution.disk else { return }
        let live = container.live
        try await refusing(device) {
            try await DiskPlug.detach(
                disk, from: live.spec, initPID: live.initPID, program: services.context.launcher.program)
        }
        try Disks.unmount(disk.name, of: live.spec)
    }

    private func refusing(_ device: Device, _ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as RuntimeError {
            let busy = "\(error)".contains(String(cString: strerror(EBUSY)))
            throw device.refuse(
                "\(error)" + (busy ? ". Programs in the container use it; stop them first" : ""))
        }
    }

    /// Absolute, not the root, and written in the one way there is.
    private static func isPlain(_ path: String) -> Bool {
        guard path.hasPrefix("/"), path.utf8.count > 1, path.utf8.count < 4096 else { return false }
        return path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
            !["", ".", ".."].contains($0)
        }
    }
}
