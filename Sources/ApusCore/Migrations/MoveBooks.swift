import ApusAPI
import Checkpoint
import ContainerRuntime
import Glibc
import LinuxSystem
import Logging
import Migration

extension ContainerService {
    /// Writes down how far a move has come.
    func keep(_ move: MoveRecord) throws { try context.store.save(move) }

    /// Where other hosts can ask this daemon.
    var ownURLs: [String] {
        (ListenAddress(context.config["core.https_address"])?.reachable() ?? []).map { "https://\($0)" }
    }

    /// Forgets one end of a move.
    func forgetMove(_ id: String, as role: MoveRecord.Role) throws {
        try context.store.forget(move: id, as: role)
    }

    /// Makes the place where a container's state lies on its way: in memory where there is room, because it is read once.
    func moveDirectory(_ id: String, bytes: UInt64 = 64 << 20) throws -> String {
        let directory = "\(hasRoomInMemory(bytes) ? moveMemory : moveDisk)/\(id)"
        try Files.makeDirectories(directory, mode: 0o700)
        return directory + "/state"
    }

    /// Where such places are: in memory, and where there is none.
    var movePlaces: [String] { [moveMemory, moveDisk] }
    private var moveMemory: String { "/dev/shm/apus-\(context.daemonID)" }
    private var moveDisk: String { context.directory.work + "/moves" }

    private func hasRoomInMemory(_ bytes: UInt64) -> Bool {
        let mounts = (try? MountInfo.current()) ?? []
        guard mounts.last(where: { $0.mountPoint == "/dev/shm" })?.type == "tmpfs",
            let room = try? Machine.room(in: "/dev/shm")
        else { return false }
        return UInt64(room) > bytes && Machine.availableMemory > bytes
    }

    /// Removes a move's.
    func removeMoveDirectory(_ id: String) {
        for place in movePlaces {
            try? CheckpointStore.remove(directory: "\(place)/\(id)")
            rmdir(place)
        }
    }

    /// Removes those of all moves: after a restart of the daemon none is under way.
    func removeMoveDirectories() {
        for place in movePlaces {
            for name in (try? Files.names(in: place)) ?? [] { removeMoveDirectory(name) }
        }
    }

    /// Stops a container, saves it, and has `exchange` give it to another host.
    nonisolated func handOver(
        _ live: LiveContainer, into directory: String, memory: HandOver.Memory,
        onFrozen: @escaping @Sendable () async throws -> Void,
        exchange: @escaping @Sendable (HandOver) async throws -> Void
    ) async throws -> CheckpointResult {
        let checkpointer = try await context.checkpoints.checkpointer()
        let subject = await subject(live)
        return try await endingHarmed(live) {
            try await checkpointer.handOver(
                subject, into: directory, memory: memory,
                options: CheckpointOptions(
                    leaveRunning: false, logFile: logFile(live.spec.name, "criu-dump")),
                onFrozen: onFrozen, exchange: exchange)
        }
    }

    /// Lets a container that was fenced run on.
    func recoverStill(_ live: LiveContainer) async {
        do {
            try await Checkpointer.recover(subject(live))
        } catch {
            logger(live.spec.name).error("cannot let it run on", metadata: ["error": "\(error)"])
        }
    }

    /// A container runs on another host now: what is left of it here is ended, and deleted if it is to be.
    func endMoved(_ plan: SourcePlan) async throws {
        guard entries[plan.name] != nil else { return }
        try change(plan.name) { $0.shouldRun = false }
        if let live = entries[plan.name]?.live {
            if await !live.ended.wait(.milliseconds(200)) { try await kill(live) }
        }
        await sessions.end(plan.name, why: "\(plan.name) was moved to another host; this session ends")
        tell("instance-stopped", plan.name, ["moved": true])
        if plan.deletes { try await deleteNow(plan.name, livesOn: true) }
    }

    /// Says once in a while that a container stands still because the other host does not answer.
    func tellInDoubt(_ name: String, _ peer: MovePeerAddress, _ error: any Error) {
        logger(name).warning(
            "it stands still: the connection was lost when it was handed over, and the other host cannot be asked who has it",
            metadata: [
                "peer": "\(peer.urls.joined(separator: " "))", "error": "\(ServiceError.text(of: error))",
            ])
    }
}
