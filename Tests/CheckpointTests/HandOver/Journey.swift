import Checkpoint
import CRIU
import ContainerRuntime
import LinuxSystem
import Synchronization

/// One move of a container from one set of directories to another, as the owners of two machines make it together.
struct Journey {
    let stage: Stage
    /// Whether the memory comes after the container.
    var lazily = false
    /// Whether both machines have the files, on shared storage.
    var sharesFiles = false
    /// Whether there are no files on the sink before it has to restore.
    var copiesLate = false
    /// Where the pages go through.
    var makePump: @Sendable () throws -> Pump = { try Pump() }
    /// On the source, before anything is settled; the container is held on the sink.
    var beforeDecision: @Sendable (LiveContainer, HeldRestore) async throws -> Void = { _, _ in }
    /// On the source, when it is settled and the sink does not know yet.
    var afterDecision: @Sendable (LiveContainer) async throws -> Void = { _ in }
    /// When the sink has been told.
    var afterCommit: @Sendable (Pump) async throws -> Void = { _ in }

    /// Which machine the next generation is on.
    private static func other(_ spec: ContainerSpec) -> String { spec.daemonID.hasPrefix("a") ? "b" : "a" }

    /// Where the container goes next.
    func destination(_ source: LiveContainer) -> ContainerSpec {
        let generation = source.spec.generation + 1
        var next = stage.spec(
            Self.other(source.spec), generation: generation,
            rootfs: sharesFiles ? source.spec.rootfs : "\(stage.folder)/files.\(generation)")
        next.interfaces = source.spec.interfaces.map { interface in
            var copy = interface
            copy.hostName += Self.other(source.spec)
            return copy
        }
        return next
    }

    /// Moves it. On failure the sink has given everything up.
    func move(_ source: LiveContainer) async throws -> (LiveContainer, CheckpointResult) {
        let spec = destination(source)
        if !copiesLate { try copyFiles(source, to: spec) }
        let prepared = try await stage.launcher.prepareRestore(spec)
        let arrived = Mutex<RuntimeStatus?>(nil)
        do {
            let receiver = try CheckpointReceiver(directory: stage.memory + "/sink", limit: 1 << 30)
            let pump = try makePump()
            let pages =
                lazily ? nil : try await stage.checkpointer.receivePages(from: pump.far, for: receiver)
            let result = try await stage.checkpointer.handOver(
                source.subject, into: stage.memory + "/source",
                memory: lazily
                    ? .lazy
                    : .stream { attempt in
                        guard attempt == 1 else { throw Trouble("a second try") }
                        return pump.near
                    },
                options: CheckpointOptions(leaveRunning: false, logFile: stage.folder + "/dump.log")
            ) { handOver in
                try await handOver.filesReady()
                try copyFiles(source, to: spec)
                if sharesFiles { try handOver.keepSockets(in: source.spec.rootfs) }
                try send(handOver, to: receiver)
                _ = try await pages?.received()
                try await exchange(handOver, source, prepared, receiver, pump, arrived)
            }
            try? CheckpointStore.remove(directory: stage.memory + "/source")
            if !sharesFiles { try removeTree(source.spec.rootfs) }
            guard let status = arrived.withLock({ $0 }) else { throw Trouble("it did not arrive") }
            return (LiveContainer(spec: spec, initPID: status.initPID), result)
        } catch {
            try await prepared.abandon()
            if !sharesFiles { try? removeTree(spec.rootfs) }
            throw error
        }
    }

    /// A restore binds sockets in the file system anew: the two must not share it.
    private func copyFiles(_ source: LiveContainer, to spec: ContainerSpec) throws {
        guard !sharesFiles else { return }
        try Stage.output(["rsync", "-aH", "--delete", source.spec.rootfs + "/", spec.rootfs])
    }

    private func send(_ handOver: HandOver, to receiver: CheckpointReceiver) throws {
        var reader = try handOver.chunks()
        while let chunk = try reader.next() {
            try receiver.accept(CheckpointChunk(decoding: chunk.encoded()))
        }
        let record = try receiver.finish()
        if let objection = record.compatibility.objection(to: stage.checkpointer.compatibility) {
            throw Trouble(objection)
        }
    }

    private func exchange(
        _ handOver: HandOver, _ source: LiveContainer, _ prepared: PreparedRestore,
        _ receiver: CheckpointReceiver, _ pump: Pump, _ arrived: borrowing Mutex<RuntimeStatus?>
    ) async throws {
        let server = lazily ? try handOver.servePages(on: pump.near) : nil
        let serving = Task { try await server?.serve() }
        do {
            let held = try await prepared.restore(
                RestoreOptions(checkpoint: receiver.directory, logFile: stage.folder + "/restore.log"),
                pages: lazily ? pump.far : nil)
            do {
                try await beforeDecision(source, held)
                try await handOver.decide()
                try await afterDecision(source)
            } catch {
                try await held.abort()
                throw error
            }
            let status = try await held.commit()
            arrived.withLock { $0 = status }
            try await afterCommit(pump)
        } catch {
            server?.cancel()
            _ = await serving.result
            throw error
        }
        // Lost or not, it is the sink's now.
        _ = await serving.result
    }
}
