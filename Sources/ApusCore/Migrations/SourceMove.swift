import ApusAPI
import Checkpoint
import ContainerRuntime
import FoundationEssentials
import LinuxSystem
import Migration
import Storage
import SwiftProtobuf

/// The source's end of a live move: does what `SourceMachine` says, and tells it what happens.
actor SourceMove {
    let containers: ContainerService
    let plan: SourcePlan
    let sockets: MoveSockets
    let handle: OperationHandle?
    let figures = MoveFigures()
    private let events = AsyncStream<SourceMachine.Event>.makeStream()
    /// What the sink says while files and state are sent: each is waited for where it is due.
    private let answers = AsyncStream<MoveMessage>.makeStream()
    private var machine = SourceMachine()
    private var control: ControlChannel?
    var answer = MoveAnswer()
    private var memory = MoveMemory.stopCopy
    private var reading: Task<Void, Never>?
    private var work: Task<Void, Never>?
    private var asking: Task<Void, Never>?
    /// The container while it stands still, and who waits for what is to become of it.
    private var handOver: HandOver?
    private var forwarder: PacketForwarder?
    private let decision = Decision()
    private var isFenced = false
    /// Whether a former daemon has begun the move.
    private var isResumed = false
    private var frozenAt: ContinuousClock.Instant?
    var passes: UInt32 = 0
    var sender: (any VolumeSender)?

    init(
        _ containers: ContainerService, _ plan: SourcePlan, _ sockets: MoveSockets, _ handle: OperationHandle?
    ) {
        self.containers = containers
        self.plan = plan
        self.sockets = sockets
        self.handle = handle
    }

    /// Moves the container. Returns when it is the sink's and nothing of it is left here.
    /// - Throws: why it stayed; it runs on then.
    func run() async throws -> [String: JSONValue] {
        defer { close() }
        handle?.progress("Connecting")
        control = ControlChannel(try await sockets.socket(.control))
        return try await go(.start)
    }

    /// Finishes a move that a former daemon has begun, whatever that takes.
    func resume(_ journal: SourceJournal) async throws {
        isResumed = true
        defer { close() }
        _ = try await go(.restarted(journal))
    }

    private func close() {
        reading?.cancel()
        asking?.cancel()
        sockets.close()
    }

    private func go(_ first: SourceMachine.Event) async throws -> [String: JSONValue] {
        events.continuation.yield(first)
        return try await withTaskCancellationHandler {
            // Not the operation's task: cancelling that only asks for an end.
            try await Task { try await self.loop() }.value
        } onCancel: {
            events.continuation.yield(.cancelled)
        }
    }

    private func loop() async throws -> [String: JSONValue] {
        for await event in events.stream {
            for action in machine.handle(event) {
                do {
                    if let result = try await perform(action) { return result }
                } catch let failed as MoveFailed {
                    throw failed.error
                } catch {
                    // What was to follow must not be done now.
                    events.continuation.yield(.failed(ServiceError.text(of: error)))
                    break
                }
            }
        }
        throw ServiceError.cancelled
    }

    private func perform(_ action: SourceMachine.Action) async throws -> [String: JSONValue]? {
        switch action {
        case .journal(let state): try await containers.keep(plan.record(state, peer: peer))
        case .sendOffer:
            try await control?.send(ControlMessages.encode(plan.header))
            listen()
        case .copy: begin(.copied) { try await $0.copy() }
        case .save: begin(nil) { try await $0.save() }
        case .fence: try await fence()
        case .sendCommit:
            try await send(.commit(.init()))
            figures.set("commit_us", sinceFrozen)
            forwarder = PacketForwarder(handOver?.packets) { try await self.send($0) }
        case .ask: ask()
        case .release: await release()
        case .end: end()
        case .sendEnded: await sayEnded()
        case .sendAbort(let reason): try? await send(.abort(.with { $0.reason = reason }))
        case .finishStayed(let reason):
            try await containers.forgetMove(plan.id, as: .source(.undecided))
            throw MoveFailed(error: .failure("cannot move \(plan.name): \(reason)"))
        case .finishLost(let reason):
            try await containers.forgetMove(plan.id, as: .source(.moved))
            throw MoveFailed(error: await containers.tellLost(plan.name, reason))
        case .finishMoved:
            try await containers.forgetMove(plan.id, as: .source(.moved))
            figures.set("total_us", figures.elapsed)
            return ["apus_move": figures.json]
        }
        return nil
    }

    /// Where the sink can be asked.
    private var peer: MovePeerAddress {
        plan.peer ?? MovePeerAddress(urls: answer.addresses, certificate: answer.certificate)
    }

    func send(_ message: MoveMessage) async throws {
        guard let control else { throw MigrationError(.connectionLost, "there is no connection") }
        try await control.send(message)
    }

    /// Runs a step beside the loop, and tells the machine of its end.
    private func begin(
        _ success: SourceMachine.Event?, _ step: @escaping @Sendable (SourceMove) async throws -> Void
    ) {
        let events = events.continuation
        work = Task {
            do {
                try await step(self)
                if let success { events.yield(success) }
            } catch {
                events.yield(.failed(ServiceError.text(of: error)))
            }
        }
    }

    // MARK: What the sink says

    private func listen() {
        guard let control else { return }
        let events = events.continuation
        let answers = answers.continuation
        reading = Task {
            do {
                let header = try await control.next(MigrationHeader.self)
                guard self.accept(header) else { return }
                while let bytes = try await control.next() {
                    switch try ControlMessages.decode(bytes) {
                    case .held(let held):
                        self.note("restore_us", held.restoreMicroseconds)
                        self.noteHeld()
                        events.yield(.held)
                    case .resumed(let resumed):
                        self.noteResumed(resumed.resumeMicroseconds)
                        events.yield(.resumed)
                    case .complete:
                        self.noteComplete()
                        events.yield(.complete)
                    case .abort(let abort): events.yield(.peerFailed(abort.reason))
                    case let other: answers.yield(other)
                    }
                }
                events.yield(.linkLost)
            } catch let error as MigrationError where error.code != .connectionLost {
                events.yield(.failed(error.message))
            } catch {
                events.yield(.linkLost)
            }
            answers.finish()
        }
    }

    private func accept(_ header: MigrationHeader) -> Bool {
        guard header.hasApusAnswer else {
            events.continuation.yield(
                .refused(
                    "the other host is no Apus daemon, and running containers go to those alone. Move it with --stateless"
                ))
            return false
        }
        answer = header.apusAnswer
        if !answer.refusals.isEmpty {
            events.continuation.yield(.refused(answer.refusals.joined(separator: "; ")))
            return false
        }
        memory = plan.memory(answer)
        figures.set(memory, because: answer.memoryReason.isEmpty ? plan.memoryReason : answer.memoryReason)
        events.continuation.yield(.accepted(memory))
        return true
    }

    private func note(_ name: String, _ value: UInt64) { figures.set(name, Int64(clamping: value)) }

    private func noteHeld() { figures.set("held_us", sinceFrozen) }

    private func noteResumed(_ microseconds: UInt64) {
        note("resume_us", microseconds)
        figures.set("downtime_us", sinceFrozen)
    }

    private func noteComplete() { figures.set("memory_us", sinceFrozen) }

    /// Waits for one thing that the sink has to say now.
    func expect(_ what: String, _ wanted: (MoveMessage) -> Bool) async throws {
        for await message in answers.stream {
            guard wanted(message) else {
                throw MigrationError(
                    .protocolViolation, "the other host said something else where \(what) was due")
            }
            return
        }
        try Task.checkCancellation()
        throw MigrationError(.connectionLost, "the connection to the other host was lost")
    }

    // MARK: Processes

    /// Stops the container and hands it over; returns when it has ended here, or throws when it runs on.
    private func save() async throws {
        guard let live = plan.live else { throw ServiceError.badRequest("The instance is not running") }
        guard let sender else { throw ServiceError.failure("nothing was sent of the files") }
        let (fs, criu) = (try await sockets.socket(.fs), try await sockets.socket(.criu))
        let place = try await containers.moveDirectory(plan.id)
        let tries = PageStream()
        handle?.progress("Handing over")
        do {
            if memory == .postCopy { try await announce(attempt: 1) }
            let result = try await containers.handOver(
                live, into: place,
                memory: memory == .postCopy
                    ? .lazy : .stream { attempt in try await self.pageSocket(attempt, criu, tries) },
                onFrozen: { try await self.lastPass(sender, fs) }
            ) { handOver in
                guard await self.memory == .postCopy else {
                    return try await self.exchange(handOver, sender, fs)
                }
                let way = try await tries.begin(criu) { [figures = self.figures] in
                    figures.add("memory_sent", $0)
                }
                // Until the sink has all of it, or none of that matters any more.
                try await handOver.serving(way) { try await self.exchange(handOver, sender, fs) }
            }
            // What is left behind is frozen until the other host has it: CRIU does not measure that.
            if memory == .stopCopy { figures.set("criu_frozen_us", Int64(result.frozenMicroseconds)) }
            figures.set("attempts", Int64(result.attempts))
        } catch {
            await tries.end()
            await sender.end()
            await containers.removeMoveDirectory(plan.id)
            throw error
        }
        await tries.end()
        await sender.end()
        await containers.removeMoveDirectory(plan.id)
    }

    private func lastPass(_ sender: any VolumeSender, _ fs: any MessageSocket) async throws {
        frozenAt = .now
        try await pass(.last, of: sender, over: fs)
    }

    /// A way for the pages of one try, agreed with the sink.
    private func pageSocket(_ attempt: Int, _ criu: any MessageSocket, _ tries: PageStream) async throws
        -> FileDescriptor
    {
        await tries.halt()
        try await announce(attempt: attempt)
        return try await tries.begin(criu, isDump: true) { [figures] in figures.add("memory_sent", $0) }
    }

    private func announce(attempt: Int) async throws {
        try await send(.freezing(.with { $0.attempt = UInt32(attempt) }))
        try await expect("readiness for memory") { if case .ready = $0 { true } else { false } }
    }

    /// Everything stands still and is saved: the sink gets the rest, restores, and the two agree on who has it.
    private func exchange(
        _ handOver: HandOver, _ sender: any VolumeSender, _ fs: any MessageSocket
    ) async throws {
        self.handOver = handOver
        figures.set("dump_us", sinceFrozen)
        try await handOver.filesReady()
        figures.set("last_pass_us", sinceFrozen)
        if handOver.hasRelinkedFiles { try await pass(.again, of: sender, over: fs) }
        var reader = try handOver.chunks()
        while let chunk = try reader.next() {
            let piece = chunk.encoded()
            figures.add("state_sent", piece.count)
            try await send(.chunk(.with { $0.piece = Data(piece) }))
        }
        figures.set("transfer_us", sinceFrozen)
        let (frozen, memory) = (UInt64(clamping: sinceFrozen), figures.value("memory_sent"))
        try await send(
            .state(
                .with {
                    $0.frozenMicroseconds = frozen
                    $0.memoryBytes = UInt64(clamping: memory)
                }))
        events.continuation.yield(.saved)
        let verdict = await decision.value()
        await forwarder?.finish(isGone: verdict == .end)
        forwarder = nil
        switch verdict {
        case .end: return
        case .release:
            if isFenced {
                try await handOver.takeBack()
                isFenced = false
            }
            throw ServiceError.failure("it stays here")
        case nil: throw CancellationError()
        }
    }

    private var sinceFrozen: Int64 { frozenAt.map { (ContinuousClock.now - $0).microseconds } ?? 0 }

    private func fence() async throws {
        if let handOver {
            try await handOver.decide()
            isFenced = true
        } else {
            try await plan.live?.cgroup.setFrozen(true)
        }
    }

    /// Lets the container run on here.
    private func release() async {
        decision.make(.release)
        work?.cancel()
        await work?.value
        await sender?.end()
        // Fenced by a former daemon, or by a hand-over that has ended meanwhile.
        if isResumed || isFenced, let live = plan.live { await containers.recoverStill(live) }
    }

    /// Ends the container here, because it runs elsewhere.
    private func end() {
        decision.make(.end)
        let saving = work
        let (containers, plan) = (containers, plan)
        begin(.ended) { _ in
            await saving?.value
            try await containers.endMoved(plan)
        }
    }

    private func sayEnded() async {
        if control != nil, (try? await send(.ended(.init()))) != nil { return }
        _ = try? await MoveDialer.ask(peer, about: plan.id, secret: plan.secret, ended: true)
    }

    // MARK: When the connection is lost

    /// Asks the sink, until it answers.
    private func ask() {
        sockets.close()
        control = nil
        let (peer, plan, events) = (peer, plan, events.continuation)
        let containers = containers
        asking = Task {
            var pause = Duration.milliseconds(200)
            while !Task.isCancelled {
                do {
                    let verdict = try await MoveDialer.ask(
                        peer, about: plan.id, secret: plan.secret, ended: false)
                    if let verdict {
                        events.yield(.verdict(verdict))
                        return
                    }
                } catch {
                    await containers.tellInDoubt(plan.name, peer, error)
                }
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(10))
            }
        }
    }
}

/// The container stayed, or was lost; the error says why.
private struct MoveFailed: Error {
    let error: ServiceError
}
