internal import CRIU
internal import FoundationEssentials
import Glibc
import LinuxSystem

/// A restored container whose processes run.
struct RestoredContainer {
    /// Its first process, a child of this process.
    let initPID: Int32
    /// The master of the console; nil when it has none.
    let console: FileDescriptor?
    /// Tells neighbours where it is now.
    let announcement: AddressAnnouncement?
    /// Its memory, if that is still coming.
    let memory: LazyMemory?
}

/// Brings the processes of a checkpoint back as children of this process, which must be single-threaded. What needs no
/// checkpoint can be done beforehand, by `prepare`.
final class ContainerRestore {
    let spec: ContainerSpec
    private let cgroup: ContainerCgroup
    /// A CRIU that waits for its task.
    private var waiting: CRIUSession?

    /// A restore of `spec` as a new generation.
    init(_ spec: ContainerSpec) throws {
        self.spec = spec
        cgroup = ContainerCgroup(layout: try .current(), name: spec.cgroup)
    }

    /// Makes control groups, shows the root file system and starts CRIU. The caller removes all that after a failure
    /// (`RuntimeCleanup`).
    func prepare() throws {
        try cgroup.create(owner: spec.idmap)
        try cgroup.applyLimits(spec.limits, isFresh: true)
        try RestoreCgroups.makeWaitingRoom(of: cgroup)
        // The files may be still to come, or be replaced by then.
        guard Files.isDirectory(spec.rootfs) else { return }
        try RootFileSystem.mount(spec)
        waiting = try startCRIU(withoutNetwork: true)
    }

    /// Restores everything and calls `hold` while the processes stand ready: when it returns they run, when
    /// it throws they are killed. `reachable` is called when packets can come to them, just before they run. With `pages`, a socket, memory that is not among the images comes from there. The
    /// caller removes cgroups and mounts after a failure (`RuntimeCleanup`).
    func run(
        _ options: RestoreOptions, pages: FileDescriptor?, reachable: () -> Void,
        hold: (Int32) throws -> Void
    ) throws -> RestoredContainer {
        let record = try readRecord(options)
        let cgroups = RestoreCgroups(cgroup: cgroup, record: record)
        try cgroups.makeTree()
        try showRoot()

        let watches = RestoreWatches(
            record: record, images: options.checkpoint + "/images", rootfs: spec.rootfs,
            place: placeForImages(options))
        let images = try watches.prepare()
        defer { watches.clear() }

        for limit in spec.kernelLimits { try limit.permit() }
        let tuning = HostTuning.forRestore(memory: roomyMemory(images))
        defer { tuning.undo() }
        let memory = try pages.map { try LazyMemory(spec, images: images, pages: $0) }
        var attempt = 1
        while true {
            var isHeld = false
            do {
                return try restore(record, cgroups, images, options, memory, reachable: reachable) { pid in
                    isHeld = true
                    tuning.undo()
                    try hold(pid)
                }
            } catch let error as CRIUError
                where !isHeld && attempt < Self.attempts && memory == nil
                && CRIUDiagnosis.isTransient(error.logLines)
            {
                attempt += 1
            } catch {
                memory?.end()
                throw failure(error, options)
            }
        }
    }

    /// Where images can be linked to: those that came from another host lie in memory, and would be copied to the disk.
    private func placeForImages(_ options: RestoreOptions) -> String {
        var (there, here) = (stat(), stat())
        let isNear =
            stat(options.checkpoint, &there) == 0 && stat(spec.runtimeDirectory, &here) == 0
            && there.st_dev == here.st_dev
        return isNear ? spec.runtimeDirectory + "/images" : options.checkpoint + "/linked"
    }

    /// The bytes of memory among the images, if the container may well have more than those.
    private func roomyMemory(_ images: String) -> Int64 {
        let sizes = ((try? Files.names(in: images)) ?? []).filter { $0.hasPrefix("pages-") }.map { name in
            var information = stat()
            return lstat("\(images)/\(name)", &information) == 0 ? Int64(information.st_size) : 0
        }
        let memory = sizes.reduce(0, +)
        if let limit = spec.limits.memory, limit < 2 * memory { return 0 }
        return memory
    }

    /// How often a restore is tried when something passing was in the way.
    private static let attempts = 5

    /// One try. After a failure no process of it is left.
    private func restore(
        _ record: CheckpointRecord, _ cgroups: RestoreCgroups, _ images: String, _ options: RestoreOptions,
        _ memory: LazyMemory?, reachable: () -> Void, hold: (Int32) throws -> Void
    ) throws -> RestoredContainer {
        // One that was started for a container without network would lack programs for others.
        let session =
            try record.emptyNetwork
            ? waiting ?? startCRIU(withoutNetwork: true) : startCRIU(withoutNetwork: false)
        waiting = nil
        var steps = RestoreSteps(
            record: record, cgroups: cgroups, criu: session.process.pid, spec: spec, memory: memory)
        do {
            let criuOptions = criuOptions(record, cgroups, images, options, memory)
            _ = try session.restore(criuOptions) { notification in
                try steps.handle(notification, hold: hold, reachable: reachable)
            }
            try steps.letRun()
        } catch  where !steps.isRunning {
            steps.endProcesses()
            keepLog(options, memory)
            throw error
        } catch {
            // They run: what becomes of CRIU does not matter any more.
            RuntimeLog.write("\(error)")
        }
        cgroups.removeWaitingRoom()
        return RestoredContainer(
            initPID: steps.initPID, console: steps.console, announcement: steps.announcement, memory: memory)
    }

    /// Shows the root file system, unless it is shown already and is the same.
    private func showRoot() throws {
        var shown = stat()
        var now = stat()
        if stat(spec.rootMount, &shown) == 0, stat(spec.rootfs, &now) == 0, shown.st_ino == now.st_ino,
            shown.st_dev == now.st_dev
        {
            return
        }
        // A mount namespace that CRIU has by now does not show what is mounted after.
        waiting = nil
        try Mount.unmountAll(below: spec.rootMount)
        for disk in spec.disks { try Disks.unmount(disk.name, of: spec) }
        try RootFileSystem.mount(spec)
    }

    private func startCRIU(withoutNetwork: Bool) throws -> CRIUSession {
        let session = try CRIUSession(
            try .locate(),
            launch: CRIUSurroundings.launch(
                withoutNetwork: withoutNetwork, cgroups: cgroup.procsFiles(), namespaces: .cgroup))
        if let procs = RestoreCgroups.waitingRoomProcs(of: cgroup) {
            try Files.poke(procs, "\(session.process.pid)")
        }
        return session
    }

    private func readRecord(_ options: RestoreOptions) throws -> CheckpointRecord {
        let path = options.checkpoint + "/checkpoint.json"
        let record = try JSONDecoder().decode(
            CheckpointRecord.self, from: Data(try Files.bytes(path, limit: 64 << 20)))
        guard record.format == CheckpointRecord.currentFormat else {
            throw RuntimeError(
                .restoreFailed,
                "\(path) has form \(record.format); this Apus reads \(CheckpointRecord.currentFormat)")
        }
        guard record.idmap == spec.idmap else {
            throw RuntimeError(
                .restoreFailed,
                "the checkpoint of \(record.container) was made with other user ids than \(spec.name) has now"
            )
        }
        for mount in record.externalMounts {
            guard case .disk(let name) = mount.source, !spec.disks.contains(where: { $0.name == name }) else {
                continue
            }
            throw RuntimeError(
                .restoreFailed,
                "\(record.container) was saved with the disk \"\(name)\" at \(mount.mountPoint), which \(spec.name) does "
                    + "not have; add the device again")
        }
        return record
    }

    private func criuOptions(
        _ record: CheckpointRecord, _ cgroups: RestoreCgroups, _ images: String, _ options: RestoreOptions,
        _ memory: LazyMemory?
    ) -> CRIURestoreOptions {
        let mounts = record.externalMounts.map { mount in
            switch mount.source {
            case .host(let path): "mnt[\(mount.key)]:\(path)"
            case .disk(let name): "mnt[\(mount.key)]:\(spec.diskMount(name))"
            case .cgroup: "mnt[\(mount.key)]:\(cgroups.root ?? "/sys/fs/cgroup")"
            }
        }
        var common = CheckpointOptionSet.common(
            externalMounts: mounts, emptyNetwork: record.emptyNetwork,
            logFile: lastPart(options.logFile), logLevel: .warnings)
        // CRIU and its daemon for memory meet there.
        common.workDirectory = memory?.workDirectory ?? directory(options.logFile)
        // A console that is no program's controlling terminal comes back only so.
        common.shellJob = true
        return CRIURestoreOptions(
            imageDirectory: images, root: spec.rootMount, asSibling: true, lazyPages: memory != nil,
            common: common)
    }

    /// Copies CRIU's log to where it is to be kept.
    private func keepLog(_ options: RestoreOptions, _ memory: LazyMemory?) {
        guard let memory,
            let log = try? Files.bytes(memory.workDirectory + "/" + lastPart(options.logFile))
        else { return }
        try? Files.write(options.logFile, log)
    }

    private func failure(_ error: any Error, _ options: RestoreOptions) -> any Error {
        guard let error = error as? CRIUError else { return error }
        if let underlying = error.underlying { return underlying }
        let reason = CRIUDiagnosis.explain(error.logLines)
        return RuntimeError(
            .restoreFailed, "\(reason ?? error.description). The full log is \(options.logFile)")
    }

    private func lastPart(_ path: String) -> String {
        String(path.split(separator: "/").last ?? "restore.log")
    }

    private func directory(_ path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }
}
