internal import CRIU
internal import FoundationEssentials
import Glibc
public import LinuxSystem

/// A restored container whose processes run.
public struct RestoredContainer: Sendable {
    /// Its first process, a child of this process.
    public let initPID: Int32
    /// The master of the console; nil when it has none.
    public let console: FileDescriptor?
}

/// Brings the processes of a checkpoint back as children of this process, which must be single-threaded.
public struct ContainerRestore {
    let spec: ContainerSpec
    let options: RestoreOptions

    /// A restore of `spec` as a new generation.
    public init(spec: ContainerSpec, options: RestoreOptions) {
        self.spec = spec
        self.options = options
    }

    /// Restores everything and calls `hold` while the processes stand ready: when it returns they run, when
    /// it throws they are killed. The caller removes cgroups and mounts after a failure (`RuntimeCleanup`).
    public func run(hold: (Int32) throws -> Void) throws -> RestoredContainer {
        let record = try readRecord()
        let cgroups = RestoreCgroups(
            cgroup: ContainerCgroup(layout: try .current(), name: spec.cgroup), record: record)
        try cgroups.cgroup.create(owner: spec.idmap)
        try cgroups.cgroup.applyLimits(spec.limits)
        try cgroups.makeTree()
        try RootFileSystem.mount(spec)

        let watches = RestoreWatches(
            record: record, images: options.checkpoint + "/images", rootfs: spec.rootfs,
            place: spec.runtimeDirectory + "/images")
        let images = try watches.prepare()
        defer { watches.clear() }

        let tuning = HostTuning.expediteRCU()
        defer { tuning?.undo() }
        var attempt = 1
        while true {
            var isHeld = false
            do {
                return try restore(record, cgroups, images) { pid in
                    isHeld = true
                    tuning?.undo()
                    try hold(pid)
                }
            } catch let error as CRIUError
                where !isHeld && attempt < Self.attempts && CRIUDiagnosis.isTransient(error.logLines)
            {
                attempt += 1
            } catch {
                throw failure(error)
            }
        }
    }

    /// How often a restore is tried when something passing was in the way.
    private static let attempts = 5

    /// One try. After a failure no process of it is left.
    private func restore(
        _ record: CheckpointRecord, _ cgroups: RestoreCgroups, _ images: String, hold: (Int32) throws -> Void
    ) throws -> RestoredContainer {
        let session = try CRIUSession(try .locate(), launch: launch(record, cgroups))
        if let procs = cgroups.waitingRoomProcs { try Files.poke(procs, "\(session.process.pid)") }
        var steps = RestoreSteps(
            record: record, cgroups: cgroups, criu: session.process.pid,
            interfaces: spec.interfaces)
        do {
            let result = try session.restore(criuOptions(record, cgroups, images)) { notification in
                try steps.handle(notification, hold: hold)
            }
            try cgroups.release()
            cgroups.removeWaitingRoom()
            return RestoredContainer(initPID: result.pid, console: steps.console)
        } catch {
            steps.endProcesses()
            throw error
        }
    }

    private func readRecord() throws -> CheckpointRecord {
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

    private func launch(_ record: CheckpointRecord, _ cgroups: RestoreCgroups) -> CRIULaunch {
        CRIUSurroundings.launch(
            withoutNetwork: record.emptyNetwork, cgroups: cgroups.cgroup.procsFiles(), namespaces: .cgroup)
    }

    private func criuOptions(
        _ record: CheckpointRecord, _ cgroups: RestoreCgroups, _ images: String
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
        common.workDirectory = directory(options.logFile)
        // A console that is no program's controlling terminal comes back only so.
        common.shellJob = true
        return CRIURestoreOptions(
            imageDirectory: images, root: spec.rootMount, asSibling: true,
            common: common)
    }

    private func failure(_ error: any Error) -> any Error {
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
