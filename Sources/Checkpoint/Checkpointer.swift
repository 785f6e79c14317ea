public import CRIU
public import ContainerRuntime
public import LinuxSystem

/// Makes checkpoints of running containers: processes, control groups, and, at the same instant, whatever
/// the caller snapshots in `whileFrozen`.
public struct Checkpointer: Sendable {
    /// A step of the caller's, at a given moment of the dump.
    public typealias Step = @Sendable () async throws -> Void

    /// The CRIU that is used.
    public let criu: CRIUInstallation
    /// What this machine is like.
    public let compatibility: CheckpointCompatibility
    /// Settings of a new network namespace.
    let networkDefaults: [String: String]

    /// Uses an installed CRIU. Make one when the daemon starts: CRIU learns about the kernel here, and host settings
    /// that a killed predecessor has left changed are put back.
    public init(criu: CRIUInstallation, apusVersion: String) async throws {
        self.criu = criu
        HostTuning.recover()
        let launch = CRIUSurroundings.launch(withoutNetwork: true)
        let version = try await CRIUService(criu, launch: launch).version()
        compatibility = try Compatibility.current(criu: version, apus: apusVersion)
        networkDefaults = (try? NetworkSettings.ofNewNamespace()) ?? [:]
    }

    /// Looks for whatever cannot be saved, or would not come back, without stopping anything. Empty: go ahead.
    public func preflight(_ subject: CheckpointSubject) async throws -> [CheckpointFinding] {
        try await inspect(subject).filter { $0.level == .blocks }
    }

    /// The same, with what need not stand in the way.
    public func inspect(_ subject: CheckpointSubject) async throws -> [CheckpointFinding] {
        try await onThread { try Preflight.findings(of: subject) }
    }

    /// Saves a running container into `directory`, which is made anew. Refuses, with nothing stopped, what the
    /// preflight finds. `onFrozen` is called when the tasks have been stopped, and runs beside CRIU's work;
    /// `whileFrozen` when everything is saved: the tasks go on (or end) when it returns. (It is called a second time if
    /// CRIU has put files into the container's file system meanwhile, which `onFrozen` may have missed.) Something passing in the way
    /// makes for another try. On failure the container runs on, and the directory is removed.
    public func dump(
        _ subject: CheckpointSubject, into directory: String, options: CheckpointOptions,
        onFrozen: Step? = nil, whileFrozen: @escaping Step,
        progress: @escaping @Sendable (CheckpointProgress) -> Void = { _ in }
    ) async throws -> CheckpointResult {
        let (result, memory) = try await dump(
            subject, into: directory, options: options, onFrozen: onFrozen, ending: .snapshot(whileFrozen),
            progress: progress)
        progress(.sealing)
        try await onThread { try Manifest(of: directory, known: memory).write(to: directory) }
        return result
    }

    /// Saves a running container, but for its memory, into `directory`, and has `exchange` hand it over to another
    /// machine while it stands still: its memory goes as `memory` says, and touches no disk here. When `exchange` returns
    /// the container runs there, and its tasks here end; when it throws, the container runs on here and the directory
    /// is removed, unless it has been decided already: then `CheckpointError.Code.inDoubt` is thrown, and the container
    /// stands still. Cancelling the task counts as a failure.
    ///
    /// `onFrozen` is called when the tasks have been stopped, and runs beside CRIU's work and `exchange`, which waits for
    /// it by `HandOver.filesReady()`. Put the directory on a tmpfs. `options.leaveRunning` has no meaning here.
    public func handOver(
        _ subject: CheckpointSubject, into directory: String, memory: HandOver.Memory,
        options: CheckpointOptions, onFrozen: Step? = nil,
        progress: @escaping @Sendable (CheckpointProgress) -> Void = { _ in },
        exchange: @escaping @Sendable (HandOver) async throws -> Void
    ) async throws -> CheckpointResult {
        try await dump(
            subject, into: directory, options: options, onFrozen: onFrozen,
            ending: .handOver(HandOverPlan(memory: memory, exchange: exchange)), progress: progress
        ).result
    }

    /// Receives the memory of a container that is handed over by stream, through a connected stream socket, for the
    /// checkpoint that `receiver` puts together. Start it before anything is frozen.
    public func receivePages(
        from socket: FileDescriptor, for receiver: CheckpointReceiver
    ) async throws -> CRIUPageReceiver {
        var launch = CRIUSurroundings.launch(withoutNetwork: true)
        launch.pageSocket = socket
        return try await CRIUPageReceiver.start(
            criu, launch: launch, into: receiver.images, logFile: "pages.log")
    }

    private func dump(
        _ subject: CheckpointSubject, into directory: String, options: CheckpointOptions, onFrozen: Step?,
        ending: DumpEnding, progress: @escaping @Sendable (CheckpointProgress) -> Void
    ) async throws -> (result: CheckpointResult, memory: [String: Manifest.Entry]) {
        do {
            return try await attempts(
                subject, into: directory, options: options, onFrozen: onFrozen, ending: ending,
                progress: progress)
        } catch let error as SystemError where (try? ProcessStatus(pid: subject.initPID))?.isEnding ?? true {
            // Whatever it was that could not be read: it is not there any more.
            throw CheckpointError(
                .dumpFailed, "cannot checkpoint \(subject.name): it has ended meanwhile", underlying: error)
        }
    }

    private func attempts(
        _ subject: CheckpointSubject, into directory: String, options: CheckpointOptions, onFrozen: Step?,
        ending: DumpEnding, progress: @escaping @Sendable (CheckpointProgress) -> Void
    ) async throws -> (result: CheckpointResult, memory: [String: Manifest.Entry]) {
        progress(.preflight)
        async let planned = onThread { try DumpPlan(subject, networkDefaults: networkDefaults) }
        let findings = try await preflight(subject)
        guard findings.isEmpty else {
            throw CheckpointError(
                .notCheckpointable,
                "cannot checkpoint \(subject.name): "
                    + findings.prefix(3).map(\.description).joined(separator: "; "),
                findings: findings)
        }
        let plan = try await planned
        let service = CRIUService(
            criu, launch: CRIUSurroundings.launch(withoutNetwork: plan.emptyNetwork))
        var attempt = 1
        while true {
            progress(.dumping(attempt: attempt))
            let dump = DumpAttempt(
                plan: plan, directory: directory, options: options, service: service,
                compatibility: compatibility, onFrozen: onFrozen, ending: ending, progress: progress)
            do {
                let (record, memory) = try await dump.run(attempt)
                let result = CheckpointResult(
                    record: record, frozenMicroseconds: record.frozenMicroseconds, attempts: attempt)
                return (result, memory)
            } catch let error as TransientDumpFailure {
                guard attempt < options.attempts else { throw error.final }
                // Whoever is to read or accept what was in the way needs a moment; nobody announces it.
                try await Task.sleep(for: RetryRule.pause(after: attempt))
                attempt += 1
            }
        }
    }

    /// Makes sure that a container whose dump was cut short (by a crash of the daemon, for instance) goes on. With
    /// `rootfs`, the root file system as it lies in the pool, sockets are put back that `HandOver.keepSockets` has kept.
    public static func recover(_ subject: CheckpointSubject, rootfs: String? = nil) async throws {
        HostTuning.recover()
        let cgroup = try subject.outerCgroup()
        if let rootfs { try? SocketKeeper.putBack(below: subject.initPID, in: rootfs) }
        if cgroup.isFrozen { try await cgroup.setFrozen(false) }
        try await onThread { Recovery.mend(below: subject.initPID) }
        for interface in subject.interfaces { try interface.pass(true, to: subject.initPID) }
    }
}

/// When a dump is tried again, and after how long.
package enum RetryRule {
    /// The pause after a try: 10 ms, then twice as long each time, 640 ms at most.
    package static func pause(after attempt: Int) -> Duration {
        .milliseconds(10 << min(max(attempt - 1, 0), 6))
    }
}
