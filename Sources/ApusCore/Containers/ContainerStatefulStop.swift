public import ApusAPI
import Checkpoint
import ContainerRuntime
import LinuxSystem
import Logging

extension ContainerService {
    /// Stops a container and keeps its running state, for the next start.
    public func stopStateful(_ name: String) throws -> ApusAPI.Operation {
        try checkStateful(name)
        return try context.operate(
            on: name, "stopping with its state", "Stopping instance", detail: "stateful"
        ) {
            handle in
            try await self.stopStatefulNow(name, handle)
            return nil
        }
    }

    /// Stops a container and keeps its running state; its lock is held by the caller.
    func stopStatefulNow(_ name: String, _ handle: OperationHandle?) async throws {
        try checkStateful(name)
        let live = try live(name)
        let checkpointer = try await context.checkpoints.checkpointer()
        try await endSessions(live, ifCheckpointableBy: checkpointer)
        let directory = context.directory.stoppedState(name)
        try CheckpointStore.remove(directory: directory)
        try Files.makeDirectories(context.directory.checkpoints(name), mode: 0o700)
        let result: CheckpointResult
        do {
            result = try await endingHarmed(live) {
                try await checkpointer.dump(
                    subject(live), into: directory,
                    options: CheckpointOptions(leaveRunning: false, logFile: logFile(name, "criu-dump")),
                    whileFrozen: {}, progress: { Self.report($0, handle) })
            }
        } catch let error as CheckpointError where !error.findings.isEmpty {
            throw notCheckpointable(name, error.findings)
        }
        // The processes are gone, or about to go: from here on the saved state is the container.
        try change(name) { record in
            record.stateful = true
            record.shouldRun = false
            record.stateTakenAt = .now()
            record.stateSize = result.record.size
        }
        if await !live.ended.wait(.seconds(5)) { try await kill(live) }
        tell("instance-stopped", name, ["stateful": true])
    }

    /// Ends the sessions of a container, but not for nothing: of one that cannot be saved they go on. Where there is none,
    /// nothing is looked for: the dump does that itself.
    private func endSessions(_ live: LiveContainer, ifCheckpointableBy checkpointer: Checkpointer)
        async throws
    {
        let name = live.spec.name
        let count = try await sessions.count(name) + live.connection.status().execSessions
        guard count > 0 else { return }
        let findings = try await checkpointer.preflight(subject(live))
        guard findings.isEmpty else { throw notCheckpointable(name, findings) }
        await sessions.end(
            name, why: "\(name) is being stopped with its running state kept; this session ends")
        try await live.connection.endSessions()
    }

    /// Makes a checkpoint. If CRIU dies at it and processes with it, the container is ended: half of one must not go on.
    func endingHarmed(
        _ live: LiveContainer, _ dump: () async throws -> CheckpointResult
    ) async throws -> CheckpointResult {
        do {
            return try await dump()
        } catch let error as CheckpointError where error.code == .tasksHarmed {
            let name = live.spec.name
            let advice =
                "The container was ended, because it would have gone on without them. Start it afresh with \"apus start \(name)\", or put it back to a snapshot with \"apus restore \(name) SNAPSHOT\""
            logger(name).error("\(error.message). \(advice)")
            try await kill(live)
            try change(name) { $0.shouldRun = false }
            throw ServiceError.failure("\(error.message). \(advice)")
        }
    }

    /// Refuses what can be known to fail before anything is touched.
    func checkStateful(_ name: String) throws {
        let entry = try entry(name)
        guard entry.live != nil else { throw ServiceError.badRequest("The instance is not running") }
        guard !entry.record.frozen else {
            throw ServiceError.badRequest(
                "\"\(name)\" is frozen; unfreeze it before saving its running state")
        }
        guard !expanded(entry.record).isTrue("security.nesting") else {
            throw ServiceError.badRequest(
                "\"\(name)\" has security.nesting=true: its programs may use what CRIU cannot save. "
                    + "Unset the key and restart it, or do without --stateful")
        }
    }

    /// A running container as the checkpoint room wants to know it.
    func subject(_ live: LiveContainer) -> CheckpointSubject {
        let disks = live.devices.contributions.compactMap(\.disk).map {
            CheckpointSubject.Disk(
                name: $0.name, path: $0.path, hostPath: live.spec.diskMount($0.name))
        }
        return CheckpointSubject(
            name: live.spec.name, initPID: live.initPID, cgroup: live.spec.innerCgroup,
            isPrivileged: live.spec.isPrivileged, allowsNesting: live.spec.nesting, disks: disks,
            interfaces: live.interfaces)
    }

    func notCheckpointable(_ name: String, _ findings: [CheckpointFinding]) -> ServiceError {
        .badRequest(
            "cannot checkpoint \(name): " + findings.prefix(5).map(\.description).joined(separator: "; ")
                + (findings.count > 5 ? "; and \(findings.count - 5) more" : ""))
    }

    /// Tells how far a checkpoint is.
    static func report(_ progress: CheckpointProgress, _ handle: OperationHandle?) {
        switch progress {
        case .preflight: handle?.progress("Looking for what cannot be saved")
        case .dumping(let attempt):
            handle?.progress(attempt > 1 ? "Saving processes, try \(attempt)" : "Saving processes")
        case .snapshotting: handle?.progress("Saving files")
        case .handingOver: handle?.progress("Handing over")
        case .sealing: handle?.progress("Checking the saved state")
        }
    }
}
