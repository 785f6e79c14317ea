import CRIU
import ContainerRuntime
import FoundationEssentials
import Glibc
import LinuxSystem

/// A dump that failed for a reason that passes.
struct TransientDumpFailure: Error {
    /// What is reported when there is no further try.
    let final: CheckpointError
}

/// What happens when everything is saved and the tasks stand still.
enum DumpEnding: Sendable {
    /// The caller snapshots the files; then the tasks run on, or end.
    case snapshot(Checkpointer.Step)
    /// The container is handed over to another machine; then its tasks end.
    case handOver(HandOverPlan)

    var handOver: HandOverPlan? {
        if case .handOver(let plan) = self { plan } else { nil }
    }
}

/// One try at a dump.
struct DumpAttempt: Sendable {
    let plan: DumpPlan
    let directory: String
    let options: CheckpointOptions
    let service: CRIUService
    let compatibility: CheckpointCompatibility
    let onFrozen: Checkpointer.Step?
    let ending: DumpEnding
    let progress: @Sendable (CheckpointProgress) -> Void

    private static let logName = "dump.log"
    private var images: String { "\(directory)/\(CheckpointStore.images)" }

    /// Dumps; returns the record when the tasks run again (or have ended) and everything but the manifest is written,
    /// and the sums of memory pages known by then.
    func run(_ number: Int) async throws -> (record: CheckpointRecord, memory: [String: Manifest.Entry]) {
        let required = try ending.handOver?.tuneHost()
        defer { required?.undo() }
        let socket = try await ending.handOver?.socket(number)
        defer { socket?.close() }
        var service = service
        service.launch.pageSocket = socket
        try CheckpointStore.make(directory)
        let frozen = FrozenWork()
        let hasher = ending.handOver == nil ? MemoryHasher(directory: directory) : nil
        let tuning = options.mayTuneHost ? HostTuning.forDump() : []
        defer { tuning.undo() }
        let fence = HandOverFence(try plan.subject.outerCgroup())
        let gate = PacketGate(plan.subject)
        let guardian = CRIUGuard(initPID: plan.subject.initPID) { try fence.setFrozenBlocking($0) }
        let initProcess = try ProcessDescriptor(pid: plan.subject.initPID)
        do {
            try gate.prepare()
            let statistics = try await service.dump(criuOptions, guardedBy: guardian) { notification in
                switch notification.moment {
                case .networkLock:
                    try gate.shut()
                    frozen.begin(collect: collect, step: onFrozen)
                case .networkUnlock: if !fence.isUp { try gate.open() }
                case .postDump:
                    // Settings of the host are not needed while the other machine is waited for.
                    if ending.handOver != nil { ([required].compactMap(\.self) + tuning).undo() }
                    try await finishWhileFrozen(frozen, fence, gate)
                default: break
                }
            }
            tuning.undo()
            let record = try await complete(frozen, statistics.frozenTime)
            return (record, await hasher?.sums() ?? [:])
        } catch {
            tuning.undo()
            if await isDone(error, frozen, initProcess) {
                if fence.isUp { try await end(initProcess) }
                let record = try await complete(frozen, 0)
                return (record, await hasher?.sums() ?? [:])
            }
            hasher?.stop()
            await frozen.cancel()
            keepLog()
            if fence.isUp { throw inDoubt(error) }
            resumeTasks()
            try? gate.open()
            if (error as? CRIUError)?.code == .connectionClosed {
                _ = try? await onThread { Recovery.mend(below: plan.subject.initPID, stopped: plan.stopped) }
            }
            try? CheckpointStore.remove(directory: directory)
            if case .harmed(let harms) = guardian.outcome { throw harmed(harms) }
            throw explained(error, lost: guardian.lost, isRunning: !initProcess.hasEnded)
        }
    }

    /// Whether CRIU died only after it had saved everything and had begun to end the tasks, init first; or the container
    /// runs elsewhere, so that nothing of CRIU's matters any more.
    private func isDone(_ error: any Error, _ frozen: FrozenWork, _ initProcess: ProcessDescriptor) async
        -> Bool
    {
        guard frozen.isSaved else { return false }
        if ending.handOver != nil { return true }
        guard (error as? CRIUError)?.code == .connectionClosed, !options.leaveRunning else { return false }
        return (try? await initProcess.waitForEnd(milliseconds: 500)) == true
    }

    /// Ends tasks that CRIU was to end: they run elsewhere.
    private func end(_ initProcess: ProcessDescriptor) async throws {
        let cgroup = try plan.subject.outerCgroup()
        cgroup.kill()
        _ = try? await initProcess.waitForEnd(milliseconds: 5000)
    }

    /// Writes what is known only when CRIU has ended.
    private func complete(_ frozen: FrozenWork, _ frozenTime: UInt32) async throws -> CheckpointRecord {
        var record = try frozen.record()
        record.frozenMicroseconds = frozenTime
        record.size = (try? await onThread { try Self.sizeOfFiles(images) }) ?? 0
        // What was handed over was mended before.
        if ending.handOver == nil { try CheckpointStore.mend(directory, record) }
        try CheckpointStore.write(record, to: directory)
        keepLog()
        return record
    }

    private var criuOptions: CRIUDumpOptions {
        let common = CheckpointOptionSet.common(
            externalMounts: plan.externalMounts.map { "mnt[\($0.mountPoint)]:\($0.key)" },
            emptyNetwork: plan.emptyNetwork, logFile: Self.logName,
            logLevel: options.verboseLog ? .debug : .warnings)
        return CRIUDumpOptions(
            pid: plan.subject.initPID, imageDirectory: images,
            leaveRunning: ending.handOver == nil && options.leaveRunning,
            pages: ending.handOver?.pages ?? .files, common: common)
    }

    private var collect: @Sendable () throws -> CheckpointRecorder.Findings {
        let plan = plan
        return { try plan.recorder.collect() }
    }

    /// Everything is saved and the tasks stand still: complete the record, then let the caller snapshot the files, or
    /// hand the container over.
    private func finishWhileFrozen(_ frozen: FrozenWork, _ fence: HandOverFence, _ gate: PacketGate)
        async throws
    {
        let findings = try await frozen.findings()
        var record = CheckpointRecord(
            container: plan.subject.name, takenAt: now(), compatibility: compatibility,
            cgroups: findings.cgroups, tasks: findings.tasks, externalMounts: plan.externalMounts,
            terminals: findings.terminals, emptyNetwork: plan.emptyNetwork,
            loopbackUp: plan.network?.loopbackUp ?? true,
            network: plan.emptyNetwork ? findings.network : nil,
            networkSettings: plan.changedNetworkSettings, idmap: plan.idmap)
        record.watches = try await watches()
        // Written now: if the tasks are to end, nothing may be left that could fail afterwards.
        try CheckpointStore.write(record, to: directory)
        frozen.set(record)
        switch ending {
        case .snapshot(let step): try await snapshot(frozen, step)
        case .handOver(let plan): try await handOver(frozen, record, plan, fence, gate)
        }
        frozen.setSaved()
    }

    private func snapshot(_ frozen: FrozenWork, _ whileFrozen: Checkpointer.Step) async throws {
        progress(.snapshotting)
        do {
            try await frozen.stepDone()
            try await whileFrozen()
            // A snapshot begun beside the dump may have passed the directories where CRIU then linked files back.
            if onFrozen != nil, CheckpointStore.hasRelinkedFiles(directory) { try await whileFrozen() }
        } catch {
            throw CheckpointError(
                .snapshotFailed,
                "cannot checkpoint \(plan.subject.name): the snapshot of its files failed: \(error)",
                underlying: error)
        }
    }

    private func handOver(
        _ frozen: FrozenWork, _ record: CheckpointRecord, _ handOver: HandOverPlan, _ fence: HandOverFence,
        _ gate: PacketGate
    ) async throws {
        progress(.handingOver)
        do {
            try CheckpointStore.mend(directory, record)
            let handed = HandOver(
                directory: directory, record: record, initPID: plan.subject.initPID, fence: fence,
                packets: gate.keeper, step: { try await frozen.stepDone() })
            do {
                try await handOver.exchange(handed)
                // CRIU ends the tasks now. Should it die before it has, they must not run on.
                if !fence.isUp { try await fence.raise() }
            } catch {
                if !fence.isUp { handed.finish(isGone: false) }
                throw error
            }
            handed.finish(isGone: true)
        } catch {
            throw CheckpointError(
                .handOverFailed, "cannot hand \(plan.subject.name) over: \(error)", underlying: error)
        }
    }

    /// The paths of watched files that CRIU has saved without one.
    private func watches() async throws -> [CheckpointWatch] {
        let recorder = WatchRecorder(container: plan.subject.name, initPID: plan.subject.initPID)
        let path = "\(images)/files.img"
        return try await onThread { try recorder.record(CRIUImage(path: path, magic: .files)) }
    }

    private func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Moves CRIU's log to where the caller wants it.
    private func keepLog() {
        let log = "\(images)/\(Self.logName)"
        guard let bytes = try? Files.bytes(log) else { return }
        try? Files.write(options.logFile, bytes)
        _ = unlink(log)
    }

    /// After a failure no task may be left stopped that ran before.
    private func resumeTasks() {
        for pid in DumpPlan.stoppedProcesses(plan.subject.initPID).subtracting(plan.stopped) {
            _ = kill(pid, SIGCONT)
        }
    }

    private func explained(_ error: any Error, lost: CRIUGuard.Harm?, isRunning: Bool) -> any Error {
        guard let criu = error as? CRIUError else { return error }
        if let own = criu.underlying as? CheckpointError { return own }
        let known =
            lost.map { "process \($0.pid) (\($0.name)) was killed while it was being saved" }
            ?? CRIUDiagnosis.explain(criu.logLines)
        // Of a CRIU that was killed the log has no reason: how it ended is one.
        let own = criu.code == .connectionClosed ? criu.message : criu.logLines.last ?? criu.description
        let after = isRunning ? "It runs on" : "The container has ended meanwhile"
        let final = CheckpointError(
            .dumpFailed,
            "cannot checkpoint \(plan.subject.name): \(known ?? own). \(after); the full log is \(options.logFile)",
            logFile: options.logFile, underlying: criu)
        return lost != nil || CRIUDiagnosis.isTransient(criu.logLines)
            ? TransientDumpFailure(final: final) : final
    }

    /// The decision was made, and then something failed: only the caller can tell what became of it.
    private func inDoubt(_ error: any Error) -> CheckpointError {
        let reason = (error as? CRIUError)?.underlying ?? error
        return CheckpointError(
            .inDoubt,
            "\(reason). Whether \(plan.subject.name) has gone on elsewhere is not known here; it stands still",
            logFile: options.logFile, underlying: reason)
    }

    /// CRIU died while its own code was in some tasks, and they could not be mended.
    private func harmed(_ harms: [CRIUGuard.Harm]) -> CheckpointError {
        let all = harms.map { "process \($0.pid) (\($0.name)): \($0.reason)" }.joined(separator: "; ")
        return CheckpointError(
            .tasksHarmed,
            "cannot checkpoint \(plan.subject.name): CRIU was killed, or crashed, at a moment that not all processes outlive: \(all). The full log is \(options.logFile)",
            logFile: options.logFile)
    }

    private static func sizeOfFiles(_ directory: String) throws -> Int64 {
        try Files.names(in: directory).reduce(0) { sum, name in
            var information = stat()
            return lstat("\(directory)/\(name)", &information) == 0 ? sum + Int64(information.st_size) : sum
        }
    }
}
