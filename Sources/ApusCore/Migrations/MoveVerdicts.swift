public import ApusAPI
import ContainerRuntime
import LinuxSystem
import Logging
import Migration

extension ContainerService {
    /// Who owns a container that was being moved here. What is answered remains true.
    public func verdict(_ id: String, _ post: MoveVerdictPost) async throws -> MoveVerdictReply {
        let records = try context.store.moves().filter { $0.id == id }
        guard let move = records.first(where: { if case .sink = $0.role { true } else { false } }) else {
            // A move that nobody knows did not come to an end here.
            return MoveVerdictReply(verdict: MoveVerdict.stayed.rawValue)
        }
        guard constantTimeEqual(move.secret, post.secret) else {
            throw ServiceError(.forbidden, "not authorized")
        }
        if let running = sinkMoves[id] {
            if post.ended { await running.sourceEnded() }
            return MoveVerdictReply(verdict: await running.ask()?.rawValue ?? "")
        }
        switch move.role {
        case .sink(.resumed), .sink(.lost): break
        // Recovery has removed what there was of it, or is about to.
        default: return MoveVerdictReply(verdict: "")
        }
        if post.ended { try context.store.forget(move: id, as: move.role) }
        return MoveVerdictReply(verdict: MoveVerdict.moved.rawValue)
    }

    // MARK: After a restart of the daemon

    /// Containers that must not be let run here before the other host has said whose they are.
    func fencedByMoves() -> Set<String> {
        Set(
            ((try? context.store.moves()) ?? []).compactMap { move in
                switch move.role {
                case .source(.committing), .source(.moved): move.container
                default: nil
                }
            })
    }

    /// Goes on with the moves that the end of the former daemon has interrupted. Returns the containers that have come
    /// here by one and stay.
    func recoverMoves() async -> Set<String> {
        var arrived: Set<String> = []
        for move in (try? context.store.moves()) ?? [] {
            do {
                switch move.role {
                case .sink(let journal):
                    if try await recoverSink(move, journal) { arrived.insert(move.container) }
                case .source(let journal): try recoverSource(move, journal)
                }
            } catch {
                logger(move.container).error(
                    "cannot go on with an interrupted move",
                    metadata: ["move": "\(move.id)", "error": "\(ServiceError.text(of: error))"])
            }
        }
        return arrived
    }

    private func recoverSink(_ move: MoveRecord, _ journal: SinkJournal) async throws -> Bool {
        var machine = SinkMachine()
        let isAlive = await isWhole(move.container, journal)
        var stays = false
        for action in machine.handle(.restarted(journal, isAlive: isAlive)) {
            switch action {
            case .journal(let state):
                var changed = move
                changed.role = .sink(state)
                try context.store.save(changed)
            case .finishMoved: stays = true
            case .finishLost(let reason):
                stays = true
                tellLostHere(move.container, reason)
            case .discard: if entries[move.container] != nil { try await discardArrival(move.container) }
            case .forget: try context.store.forget(move: move.id, as: move.role)
            default: break
            }
        }
        logger(move.container).notice(
            stays ? "came here by a move, and stays" : "a move here was interrupted; what had come is removed"
        )
        return stays
    }

    /// Whether a container lives here. One that lacks memory is ended by its runtime, now that none comes any more.
    private func isWhole(_ name: String, _ journal: SinkJournal) async -> Bool {
        guard let live = entries[name]?.live else { return false }
        guard journal == .filling else { return true }
        return (try? await live.connection.memoryComplete()) != nil
    }

    private func discardArrival(_ name: String) async throws {
        if let live = entries[name]?.live { try await kill(live) }
        try await deleteNow(name, livesOn: true)
        removeMoveDirectories()
    }

    private func recoverSource(_ move: MoveRecord, _ journal: SourceJournal) throws {
        guard let entry = entries[move.container] else {
            return try context.store.forget(move: move.id, as: move.role)
        }
        let plan = SourcePlan(
            id: move.id, secret: move.secret, name: move.container, live: entry.live,
            driver: try pools.location(entry.record.pool), snapshots: [], deletes: move.deletes,
            header: MigrationHeader(), peer: move.peer, startedAt: move.startedAt)
        _ = try context.operate(on: move.container, "moving", "Migrating instance") { handle in
            do {
                try await SourceMove(self, plan, MoveSockets(), handle).resume(journal)
                self.logger(move.container).notice(
                    "an interrupted move is finished: it is the other host's")
            } catch {
                self.logger(move.container).notice("\(ServiceError.text(of: error))")
            }
            return nil
        }
    }
}
