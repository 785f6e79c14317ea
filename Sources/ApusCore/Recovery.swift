import ApusAPI
import Checkpoint
import ContainerRuntime
import Glibc
import LinuxSystem
import Logging
import Storage

extension ContainerService {
    /// Brings what the database says and what is on the host together again, at daemon start: also after the daemon
    /// was killed in the middle of something.
    func recover() async {
        let journal = (try? context.store.journal()) ?? []
        await awaitDumps(journal)
        for name in names() { await recoverRestore(name, journal) }
        let fenced = fencedByMoves()
        for name in names() { await recoverRunning(name, isFenced: fenced.contains(name)) }
        removeMoveDirectories()
        let arrived = await recoverMoves()
        for entry in journal { await recoverOperation(entry, hasArrived: arrived.contains(entry.container)) }
        for (pool, driver) in pools.drivers {
            do {
                for leftover in try await driver.removeLeftovers() {
                    context.logger.notice(
                        "removed what an interrupted operation had left", metadata: ["path": "\(leftover)"])
                }
            } catch {
                context.logger.error(
                    "cannot clean up a pool", metadata: ["pool": "\(pool)", "error": "\(error)"])
            }
        }
        removeStrays()
        removeStaleTables()
    }

    /// Starts what is to run: after a boot of the machine, or a shutdown of the daemon that stopped them.
    func autostart(freshBoot: Bool) async {
        var due: [(name: String, delay: Int)] = []
        for (name, entry) in byPriority("boot.autostart.priority") where entry.live == nil {
            let config = expanded(entry.record).config
            let wanted = config["boot.autostart"].flatMap(ConfigValues.bool)
            // Asked for at every boot; else what ran before a boot or shutdown runs again.
            guard (freshBoot ? wanted : nil) ?? entry.record.shouldRun else {
                // What ran before this boot and is not to run now does not run after the next restart either.
                if entry.record.shouldRun { _ = try? change(name) { $0.shouldRun = false } }
                continue
            }
            due.append((name, config["boot.autostart.delay"].flatMap { Int($0) } ?? 0))
        }
        let (order, delays) = (due, due.contains { $0.delay > 0 })
        // The daemon is ready when all have been told to start; nobody waits for pauses between them.
        if delays {
            Task { await startInOrder(order) }
        } else {
            await startInOrder(order)
        }
    }

    private func startInOrder(_ containers: [(name: String, delay: Int)]) async {
        for (name, delay) in containers {
            do {
                let operation = try start(name)
                logger(name).info("started automatically")
                guard delay > 0 else { continue }
                _ = try await context.operations.wait(operation.id, timeout: nil)
                try await Task.sleep(for: .seconds(delay))
            } catch {
                logger(name).error("cannot start automatically", metadata: ["error": "\(error)"])
            }
        }
    }

    /// All containers: those with the highest number in a key first, then by name.
    func byPriority(_ key: String) -> [(String, ContainerEntry)] {
        let numbered = entries.map { name, entry in
            (name, entry, expanded(entry.record).config[key].flatMap { Int($0) } ?? 0)
        }
        return numbered.sorted { ($1.2, $0.0) < ($0.2, $1.0) }.map { ($0.0, $0.1) }
    }

    /// How long a runtime, or a CRIU that is still at work, gets to come to an end.
    private static let patience: Duration = .seconds(15)

    /// A CRIU that outlived the daemon finds that nobody listens any more, lets go of the processes, and ends. Until then
    /// its container and its images are not touched.
    private func awaitDumps(_ journal: [JournalEntry]) async {
        for place in movePlaces {
            _ = await CheckpointStore.waitForWriters(directory: place, limit: Self.patience)
        }
        for entry in journal {
            let directory = context.directory.checkpoints(entry.container)
            guard await !CheckpointStore.waitForWriters(directory: directory, limit: Self.patience) else {
                continue
            }
            logger(entry.container).error(
                "CRIU is still at work for an operation that was interrupted; if it does not end, end it",
                metadata: ["action": "\(entry.action)", "directory": "\(directory)"])
        }
    }

    /// A restore of a running container was cut short: of its two generations one is alive. It becomes the container
    /// again, with the files that belong to it.
    private func recoverRestore(_ name: String, _ journal: [JournalEntry]) async {
        guard let entry = entries[name], let driver = try? pools.driver(entry.record.pool),
            journal.contains(where: { $0.container == name && $0.action == "restoring" })
        else { return }
        var alive: [Int64] = []
        for generation in generationsOnHost(name) {
            let connection = RuntimeConnection(
                name: name, runtimeDirectory: context.directory.runtime(name, generation: generation))
            // The runtime of one that is still held answers when it has given up.
            if (try? await connection.status(within: Self.patience))?.isRunning == true {
                alive.append(generation)
            }
        }
        // The new one counts once it runs; one that is still held ends by itself with the daemon.
        let survivor = alive.max()
        let note = context.store.restoreNote(name)
        defer { try? context.store.setRestoreNote(name, nil) }
        if let staged = await driver.staged(for: name) {
            let live = driver.rootfs(of: .container(name))
            let former: String? =
                if let survivor {
                    identity(context.directory.runtime(name, generation: survivor) + "/root")
                } else if let note, entry.record.generation != note.generation {
                    note.files
                } else {
                    nil
                }
            if let former, former != identity(live), former == identity(staged.rootfs) {
                do {
                    try await staged.swap()
                    logger(name).notice(
                        "an interrupted restore was undone: the container has its former files again")
                } catch {
                    logger(name).error("cannot undo an interrupted restore", metadata: ["error": "\(error)"])
                }
            }
            if let again = await driver.staged(for: name) { await again.discard() }
        }
        if let survivor, survivor != entry.record.generation {
            _ = try? change(name) { record in
                record.generation = survivor
                if survivor != note?.generation { note?.apply(to: &record) }
            }
        }
    }

    private func recoverRunning(_ name: String, isFenced: Bool) async {
        guard let entry = entries[name] else { return }
        let log = logger(name)
        for generation in generationsOnHost(name) where generation != entry.record.generation {
            await removeGeneration(name, generation)
        }
        guard let generation = entry.record.generation else { return }
        do {
            var spec = try spec(
                entry.record, rootfs: try pools.location(entry.record.pool).rootfs(of: .container(name)))
            spec.generation = Int(generation)
            let status = try await RuntimeConnection(spec: spec).status(within: Self.patience)
            guard status.isRunning else { throw RuntimeError(.notRunning, "it has ended") }
            let live = LiveContainer(spec: spec, initPID: status.initPID, layout: context.layout)
            if !isFenced {
                try await Checkpointer.recover(subject(live))
                // A dump that was cut short leaves it thawed; a freeze that users asked for stays.
                try await live.cgroup.setFrozen(entry.record.frozen)
            }
            entries[name]?.live = live
            watch(live)
            log.info("found running", metadata: ["pid": "\(status.initPID)"])
        } catch {
            log.notice("no longer runs; cleaning up", metadata: ["reason": "\(ServiceError.text(of: error))"])
            await removeGeneration(name, generation)
            let sameBoot = (try? context.store.serverValue("boot_id")) == Machine.bootID
            _ = try? change(name) { record in
                record.generation = nil
                record.frozen = false
                // What died while the machine stayed up was not meant to be running now.
                if sameBoot { record.shouldRun = false }
            }
        }
    }

    private func recoverOperation(_ journal: JournalEntry, hasArrived: Bool) async {
        let name = journal.container
        let log = logger(name)
        do {
            switch journal.action {
            case "creating":
                try await removePassingSnapshot(of: journal.detail, for: name)
                if let entry = entries[name] {
                    try await discardHalfMade(entry)
                    log.notice("its creation was interrupted; what was made so far is removed")
                }
            case "receiving":
                if !hasArrived, let entry = entries[name] {
                    try await discardHalfMade(entry)
                    log.notice("its way here was interrupted; what had come is removed")
                }
            case "moving": break
            case Self.export:
                try await removePassingSnapshot(journal.detail, of: name)
            case "deleting":
                if entries[name]?.live == nil, entries[name] != nil {
                    try await deleteNow(name)
                    log.notice("its deletion was interrupted and is finished now")
                }
            case "renaming":
                try await finishRename(name, journal.detail)
            case Self.poolMove:
                try await finishPoolMove(name, between: journal.detail)
            case "deleting a snapshot":
                if (try? record(name, journal.detail)) != nil {
                    try await deleteSnapshotNow(name, journal.detail)
                    log.notice(
                        "the deletion of snapshot \(journal.detail) was interrupted and is finished now")
                }
            case "snapshotting", "snapshotting with its state":
                try await discardHalfMadeSnapshot(name, journal.detail)
            case "stopping with its state":
                try await adoptState(name)
            case "starting", "restarting":
                // The state is there as long as its container has not come back from it.
                if let entry = entries[name], entry.live == nil, entry.record.stateful {
                    try removeRestoreLeftovers(name)
                }
                log.notice("\(journal.action) was interrupted")
            default:
                log.notice("\(journal.action) was interrupted", metadata: ["detail": "\(journal.detail)"])
            }
            try context.store.end(journal: journal.id)
        } catch {
            log.error(
                "cannot recover from an interrupted operation",
                metadata: ["action": "\(journal.action)", "error": "\(ServiceError.text(of: error))"])
        }
    }

    private func discardHalfMade(_ entry: ContainerEntry) async throws {
        // The row is written first and the operation ended last: a whole container may still be in the journal.
        try await deleteNow(entry.record.name)
    }

    private func discardHalfMadeSnapshot(_ name: String, _ snapshot: String) async throws {
        guard let entry = entries[name], (try? record(name, snapshot)) == nil else { return }
        let driver = try pools.driver(entry.record.pool)
        try CheckpointStore.remove(directory: context.directory.snapshotState(name, snapshot))
        if driver.exists(.snapshot(container: name, name: snapshot)) {
            try await driver.delete(.snapshot(container: name, name: snapshot))
        }
        logger(name).notice("taking snapshot \(snapshot) was interrupted; what was saved so far is removed")
    }

    private func finishRename(_ name: String, _ newName: String) async throws {
        guard let entry = entries[name] else { return }
        // The row was not changed yet: files that have moved already go back.
        let driver = try pools.driver(entry.record.pool)
        if driver.exists(.container(newName)), !driver.exists(.container(name)), entries[newName] == nil {
            try await driver.rename(.container(newName), to: name)
        }
        for (from, to) in [
            (context.directory.checkpoints(newName), context.directory.checkpoints(name)),
            (context.directory.logs(newName), context.directory.logs(name)),
            (context.directory.backups(newName), context.directory.backups(name)),
        ] where Files.exists(from) && !Files.exists(to) && entries[newName] == nil {
            try moveFile(from, to)
        }
        logger(name).notice("renaming it to \(newName) was interrupted and is undone")
    }

    /// A stateful stop was interrupted. If the state is whole and the processes are gone, the stop is finished;
    /// if the container still runs, the state is of no use.
    private func adoptState(_ name: String) async throws {
        guard let entry = entries[name], !entry.record.stateful else { return }
        let directory = context.directory.stoppedState(name)
        guard entry.live == nil, (try? CheckpointStore.completeInterrupted(directory)) == true,
            let checkpointer = try? await context.checkpoints.checkpointer(),
            let saved = try? CheckpointStore.verify(directory: directory, with: checkpointer)
        else {
            try CheckpointStore.remove(directory: directory)
            logger(name).notice(
                entry.live == nil
                    ? "a stop with its state was interrupted and its processes are gone; it will start afresh"
                    : "a stop with its state was interrupted; it runs on")
            return
        }
        try change(name) { record in
            record.stateful = true
            record.shouldRun = false
            record.stateSize = saved.size
            record.stateTakenAt = Timestamp(seconds: Int64(saved.takenAt))
        }
        logger(name).notice("a stop with its state was interrupted and is finished now")
    }

    private func generationsOnHost(_ name: String) -> [Int64] {
        ((try? Files.names(in: context.directory.runtime(name))) ?? []).compactMap { Int64($0) }
    }

    private func removeGeneration(_ name: String, _ generation: Int64) async {
        do {
            try await RuntimeCleanup.remove(
                cgroup: "apus-\(context.daemonID)/\(name).\(generation)",
                runtimeDirectory: context.directory.runtime(name, generation: generation))
        } catch {
            logger(name).error(
                "cannot clean up a former generation",
                metadata: ["generation": "\(generation)", "error": "\(error)"])
        }
    }

    /// Which directory it is, whatever it is called: on btrfs, where inodes repeat, the device tells.
    func identity(_ path: String) -> String? {
        guard let directory = try? FileDescriptor.open(path, O_RDONLY | O_DIRECTORY),
            let status = try? directory.status()
        else { return nil }
        return "\(status.st_dev):\(status.st_ino)"
    }

    /// Removes tables of nftables of interfaces that are gone.
    private func removeStaleTables() {
        do {
            for table in try InterfaceRules.removeStale(daemonID: context.daemonID) {
                context.logger.notice(
                    "removed what a container that has ended had left", metadata: ["table": "\(table)"])
            }
        } catch {
            context.logger.error("cannot clean up nftables", metadata: ["error": "\(error)"])
        }
    }

    /// Removes directories of containers that the database does not know.
    private func removeStrays() {
        let directory = context.directory
        for base in [directory.checkpoints, directory.logs, directory.runtime, directory.backups] {
            for name in (try? Files.names(in: base)) ?? [] where entries[name] == nil {
                guard (try? Names.checkInstance(name)) != nil else { continue }
                try? removeTree(base + "/" + name)
            }
        }
        for name in (try? Files.names(in: context.directory.work)) ?? [] {
            try? removeTree(context.directory.work + "/" + name)
        }
    }
}
