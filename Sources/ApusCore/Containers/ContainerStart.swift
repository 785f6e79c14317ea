public import ApusAPI
import Checkpoint
import ContainerRuntime
import Images
import LinuxSystem
import Logging
import Storage

extension ContainerService {
    /// Starts a container: from its kept running state if it has one, else afresh.
    /// - Parameter stateless: throws the kept state away and starts afresh.
    public func start(_ name: String, stateless: Bool = false) throws -> ApusAPI.Operation {
        _ = try entry(name)
        return try context.operate(on: name, "starting", "Starting instance") { handle in
            try await self.startNow(name, stateless: stateless, handle)
            return nil
        }
    }

    /// Starts a container; its lock is held by the caller.
    func startNow(_ name: String, stateless: Bool = false, _ handle: OperationHandle? = nil) async throws {
        let entry = try entry(name)
        guard entry.live == nil else { throw ServiceError.badRequest("The instance is already running") }
        if entry.record.stateful, !stateless {
            try await resume(name, handle)
        } else {
            if entry.record.stateful {
                logger(name).notice("the kept running state is thrown away by a stateless start")
                try removeRestoreLeftovers(name)
                try forgetState(name)
            }
            try await boot(name)
        }
        tell("instance-started", name)
    }

    /// Starts a container afresh.
    private func boot(_ name: String) async throws {
        try await withRollback { rollback in
            let record = try beginGeneration(name)
            rollback.add { try await self.endGeneration(name) }
            let volume = try pools.driver(record.pool).directory(of: .container(name))
            try await applyTemplates(record, event: .start, volume: volume)
            var spec = try spec(record, rootfs: volume + "/rootfs")
            let devices = try await startDevices(record, &spec, rollback)
            let status = try await context.launcher.start(spec)
            adopt(name, spec, devices, initPID: status.initPID)
        }
    }

    /// Lets a stopped container go on from its kept running state. The state is kept if that fails.
    private func resume(_ name: String, _ handle: OperationHandle?) async throws {
        let directory = context.directory.stoppedState(name)
        handle?.progress("Checking the saved state")
        let checkpointer = try await context.checkpoints.checkpointer()
        _ = try CheckpointStore.verify(directory: directory, with: checkpointer)
        try removeRestoreLeftovers(name)
        try await withRollback { rollback in
            let record = try beginGeneration(name)
            rollback.add { try await self.endGeneration(name) }
            rollback.add { try await self.removeRestoreLeftovers(name) }
            let rootfs = try pools.driver(record.pool).rootfs(of: .container(name))
            var spec = try spec(record, rootfs: rootfs)
            let devices = try await startDevices(record, &spec, rollback)
            handle?.progress("Restoring processes")
            let final = spec
            let held = try await restoreHeld(final, from: directory)
            rollback.add { await self.abandon(held, final) }
            let status = try await held.commit()
            adopt(name, final, devices, initPID: status.initPID)
        }
        try forgetState(name)
    }

    /// Takes away what a CRIU that was killed in a restore has left in the container's files: the next one would fail
    /// on it.
    func removeRestoreLeftovers(_ name: String) throws {
        let rootfs = try pools.driver(try entry(name).record.pool).rootfs(of: .container(name))
        let count = try RestoreLeftovers.remove(
            checkpoint: context.directory.stoppedState(name), rootfs: rootfs)
        guard count > 0 else { return }
        logger(name).notice(
            "removed files that an interrupted restore had left", metadata: ["count": "\(count)"])
    }

    /// Restores a container, which then stands ready to run. Its memory is compared with the manifest meanwhile.
    nonisolated func restoreHeld(_ spec: ContainerSpec, from directory: String) async throws -> HeldRestore {
        async let verified: Void = CheckpointStore.verifyMemory(directory: directory)
        let options = RestoreOptions(checkpoint: directory, logFile: logFile(spec.name, "criu-restore"))
        let held: HeldRestore
        do {
            held = try await context.launcher.restore(spec, options)
        } catch {
            // Altered memory may fail CRIU before the sums are compared: then that is the reason to tell.
            try await verified
            throw error
        }
        do {
            try await verified
        } catch {
            await abandon(held, spec)
            throw error
        }
        return held
    }

    /// Gives a held restore up. A runtime that does not let go of it by itself is taken away with all it holds.
    nonisolated func abandon(_ held: HeldRestore, _ spec: ContainerSpec) async {
        let aborting = Task { try await held.abort() }
        let impatience = Task {
            try await Task.sleep(for: .seconds(5))
            aborting.cancel()
        }
        _ = await aborting.result
        impatience.cancel()
        do {
            try await RuntimeCleanup.remove(spec)
        } catch {
            context.logger.error(
                "cannot clean up after a restore",
                metadata: ["instance": "\(spec.name)", "error": "\(error)"])
        }
    }

    /// A log file of a container for something that happens now.
    nonisolated func logFile(_ name: String, _ kind: String) -> String {
        let directory = context.directory.logs(name)
        try? Files.makeDirectories(directory, mode: 0o700)
        let stamp = Timestamp.now().description.replacing(":", with: "-")
        return "\(directory)/\(kind)-\(stamp).log"
    }

    /// Forgets the running state that a stopped container has kept.
    func forgetState(_ name: String) throws {
        try change(name) { record in
            record.stateful = false
            record.stateSize = 0
            record.stateTakenAt = .zero
        }
        try CheckpointStore.remove(directory: context.directory.stoppedState(name))
    }

    /// Gives a container the number of its next life, and ids if it has none. In the database before anything is
    /// started, so that a daemon killed in between finds what to clean up.
    func beginGeneration(_ name: String) throws -> ContainerRecord {
        let record = try entry(name).record
        let config = expanded(record).config
        var idmap = record.idmap
        if !ConfigValues.isTrue(config, "security.privileged") {
            idmap = try idmaps.allocate(
                name, size: config["security.idmap.size"].flatMap { Int64($0) } ?? IDMapAllocator.defaultSize,
                base: config["security.idmap.base"].flatMap { Int64($0) })
        }
        let generation = try context.store.nextGeneration()
        let addressed = withAddresses(record)
        return try change(name) { record in
            record.idmap = idmap
            record.generation = generation
            record.volatile = addressed.volatile
        }
    }

    /// Takes the number of a life that did not begin away again.
    func endGeneration(_ name: String) throws {
        guard entries[name]?.live == nil else { return }
        try change(name) { $0.generation = nil }
    }

    /// What the runtime has to know about a container's next life.
    func spec(_ record: ContainerRecord, rootfs: String) throws -> ContainerSpec {
        guard let generation = record.generation else {
            throw ServiceError.failure("Container \(record.name) has no generation")
        }
        let expanded = expanded(record)
        var idmap: IDMap?
        if !expanded.isTrue("security.privileged"), let range = record.idmap {
            idmap = IDMap(base: UInt32(range.lowerBound), count: UInt32(range.count))
        }
        let logs = context.directory.logs(record.name)
        try Files.makeDirectories(logs, mode: 0o700)
        try Files.makeDirectories(context.directory.runtime(record.name), mode: 0o711)
        var spec = ContainerSpec(
            name: record.name, generation: Int(generation), daemonID: context.daemonID,
            runtimeDirectory: context.directory.runtime(record.name, generation: generation),
            rootfs: rootfs, idmap: idmap)
        spec.nesting = expanded.isTrue("security.nesting")
        spec.limits = SpecBuilder.limits(
            expanded.config, generation: generation, processors: Machine.processors, memory: Machine.memory)
        spec.kernelLimits = SpecBuilder.kernelLimits(expanded.config)
        spec.seccomp = SpecBuilder.seccomp(expanded.config)
        spec.environment = SpecBuilder.environment(expanded.config)
        spec.consoleLog = logs + "/console.log"
        spec.runtimeLog = logs + "/runtime.log"
        return spec
    }

    /// Takes note of a container that runs, and watches for its end.
    func adopt(
        _ name: String, _ spec: ContainerSpec, _ devices: [String: LiveDevice], initPID: Int32
    ) {
        let live = LiveContainer(spec: spec, initPID: initPID, layout: context.layout)
        entries[name]?.live = live
        do {
            try live.devices.begin(devices)
            try change(name) { record in
                record.generation = live.generation
                record.frozen = false
                record.shouldRun = true
                record.lastUsedAt = .now()
            }
        } catch {
            logger(name).error("cannot write the database", metadata: ["error": "\(error)"])
        }
        watch(live)
    }

    /// Writes what the image's templates say into the container's files.
    func applyTemplates(_ record: ContainerRecord, event: ImageTemplates.Event, volume: String) async throws {
        let notes = try await ImageTemplates.apply(
            event, volume: volume,
            values: TemplateValues(
                name: record.name, architecture: record.architecture,
                isPrivileged: expanded(record).isTrue("security.privileged"), config: expanded(record).config)
        )
        for note in notes { logger(record.name).info("template: \(note)") }
    }
}
