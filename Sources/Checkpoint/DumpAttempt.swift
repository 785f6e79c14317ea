import CRIU
import ContainerRuntime
import FoundationEssentials
import Glibc
import LinuxSystem
import Synchronization

/// A dump that failed for a reason that passes.
struct TransientDumpFailure: Error {
    /// What is reported when there is no further try.
    let final: CheckpointError
}

/// One try at a dump.
struct DumpAttempt: Sendable {
    let plan: DumpPlan
    let directory: String
    let options: CheckpointOptions
    let service: CRIUService
    let compatibility: CheckpointCompatibility
    let onFrozen: Checkpointer.Step?
    let whileFrozen: Checkpointer.Step
    let progress: @Sendable (CheckpointProgress) -> Void

    private static let logName = "dump.log"
    private var images: String { "\(directory)/\(CheckpointStore.images)" }

    /// Dumps; returns the record when the tasks run again (or have ended) and everything but the manifest is written,
    /// and the sums of memory pages known by then.
    func run() async throws -> (record: CheckpointRecord, memory: [String: Manifest.Entry]) {
        try CheckpointStore.make(directory)
        let frozen = FrozenWork()
        let hasher = MemoryHasher(directory: directory)
        let tuning = options.mayTuneHost ? HostTuning.expediteRCU() : nil
        defer { tuning?.undo() }
        let cgroup = try plan.subject.outerCgroup()
        let guardian = CRIUGuard(initPID: plan.subject.initPID) { try cgroup.setFrozenBlocking($0) }
        let initProcess = try ProcessDescriptor(pid: plan.subject.initPID)
        do {
            let statistics = try await service.dump(criuOptions, guardedBy: guardian) { notification in
                switch notification.moment {
                case .networkLock:
                    try pass(false)
                    frozen.begin(collect: collect, step: onFrozen)
                case .networkUnlock: try pass(true)
                case .postDump: try await finishWhileFrozen(frozen)
                default: break
                }
            }
            tuning?.undo()
            let record = try await complete(frozen, statistics.frozenTime)
            return (record, await hasher.sums())
        } catch {
            tuning?.undo()
            if await isDone(error, frozen, initProcess) {
                let record = try await complete(frozen, 0)
                return (record, await hasher.sums())
            }
            hasher.stop()
            await frozen.cancel()
            keepLog()
            resumeTasks()
            try? pass(true)
            if (error as? CRIUError)?.code == .connectionClosed {
                _ = try? await onThread { Recovery.mend(below: plan.subject.initPID, stopped: plan.stopped) }
            }
            try? CheckpointStore.remove(directory: directory)
            if case .harmed(let harms) = guardian.outcome { throw harmed(harms) }
            throw explained(error, isRunning: !initProcess.hasEnded)
        }
    }

    /// Whether CRIU died only after it had saved everything and had begun to end the tasks, init first.
    private func isDone(_ error: any Error, _ frozen: FrozenWork, _ initProcess: ProcessDescriptor) async
        -> Bool
    {
        guard (error as? CRIUError)?.code == .connectionClosed, frozen.isSaved, !options.leaveRunning else {
            return false
        }
        return (try? await initProcess.waitForEnd(milliseconds: 500)) == true
    }

    /// Writes what is known only when CRIU has ended.
    private func complete(_ frozen: FrozenWork, _ frozenTime: UInt32) async throws -> CheckpointRecord {
        var record = try frozen.record()
        record.frozenMicroseconds = frozenTime
        record.size = (try? await onThread { try Self.sizeOfFiles(images) }) ?? 0
        try CheckpointStore.mend(directory, record)
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
            pid: plan.subject.initPID, imageDirectory: images, leaveRunning: options.leaveRunning,
            common: common)
    }

    private var collect: @Sendable () throws -> CheckpointRecorder.Findings {
        let plan = plan
        return { try plan.recorder.collect() }
    }

    /// Everything is saved and the tasks stand still: complete the record, then let the caller snapshot the files.
    private func finishWhileFrozen(_ frozen: FrozenWork) async throws {
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
        progress(.snapshotting)
        do {
            try await frozen.stepDone()
            try await whileFrozen()
            // A snapshot begun beside the dump may have passed the directories where CRIU then linked files back.
            if onFrozen != nil, CheckpointStore.hasRelinkedFiles(directory) { try await whileFrozen() }
            frozen.setSaved()
        } catch {
            throw CheckpointError(
                .snapshotFailed,
                "cannot checkpoint \(plan.subject.name): the snapshot of its files failed: \(error)",
                underlying: error)
        }
    }

    /// The paths of watched files that CRIU has saved without one.
    private func watches() async throws -> [CheckpointWatch] {
        let recorder = WatchRecorder(container: plan.subject.name, initPID: plan.subject.initPID)
        let path = "\(images)/files.img"
        return try await onThread { try recorder.record(CRIUImage(path: path, magic: .files)) }
    }

    /// Lets packets through to the container, or none: the kernel would answer them for sockets that are half saved.
    private func pass(_ open: Bool) throws {
        for interface in plan.subject.interfaces { try interface.pass(open) }
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

    private func explained(_ error: any Error, isRunning: Bool) -> any Error {
        guard let criu = error as? CRIUError else { return error }
        if let own = criu.underlying as? CheckpointError { return own }
        let known = CRIUDiagnosis.explain(criu.logLines)
        // Of a CRIU that was killed the log has no reason: how it ended is one.
        let own = criu.code == .connectionClosed ? criu.message : criu.logLines.last ?? criu.description
        let after = isRunning ? "It runs on" : "The container has ended meanwhile"
        let final = CheckpointError(
            .dumpFailed,
            "cannot checkpoint \(plan.subject.name): \(known ?? own). \(after); the full log is \(options.logFile)",
            logFile: options.logFile, underlying: criu)
        return CRIUDiagnosis.isTransient(criu.logLines) ? TransientDumpFailure(final: final) : final
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

/// What is done while the tasks stand still, beside CRIU's own work.
private final class FrozenWork: Sendable {
    private struct State {
        var findings: Task<CheckpointRecorder.Findings, any Error>?
        var step: Task<Void, any Error>?
        var record: CheckpointRecord?
        var isSaved = false
    }

    private let state = Mutex(State())

    func begin(
        collect: @escaping @Sendable () throws -> CheckpointRecorder.Findings, step: Checkpointer.Step?
    ) {
        state.withLock { state in
            state.findings = Task { try await onThread(collect) }
            if let step { state.step = Task { try await step() } }
        }
    }

    func findings() async throws -> CheckpointRecorder.Findings {
        guard let task = state.withLock({ $0.findings }) else {
            throw CheckpointError(.dumpFailed, "CRIU did not say when the tasks stood still")
        }
        return try await task.value
    }

    func stepDone() async throws { try await state.withLock { $0.step }?.value }

    /// Everything is saved, the files too: what comes after this changes nothing any more.
    func setSaved() { state.withLock { $0.isSaved = true } }

    var isSaved: Bool { state.withLock { $0.isSaved } }

    func set(_ record: CheckpointRecord) { state.withLock { $0.record = record } }

    func record() throws -> CheckpointRecord {
        guard let record = state.withLock({ $0.record }) else {
            throw CheckpointError(.dumpFailed, "CRIU did not say when everything was saved")
        }
        return record
    }

    /// Stops what is still under way and waits for its end.
    func cancel() async {
        let (findings, step) = state.withLock { ($0.findings, $0.step) }
        step?.cancel()
        _ = await step?.result
        _ = await findings?.result
    }
}
