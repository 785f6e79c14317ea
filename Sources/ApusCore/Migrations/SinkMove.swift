import ApusAPI
import CRIU
import Checkpoint
import ContainerRuntime
import FoundationEssentials
import LinuxSystem
import Migration
import Storage
import SwiftProtobuf

/// The sink's end of a live move: does what `SinkMachine` says, and tells it what happens.
actor SinkMove {
    private let containers: ContainerService
    private let offer: MoveOffer
    private let header: MigrationHeader
    private let sockets: MoveSockets
    private let control: ControlChannel
    private let handle: OperationHandle
    private let figures = MoveFigures()
    private let events = AsyncStream<SinkMachine.Event>.makeStream()
    /// What the source sends, one after the other.
    private let mail = AsyncStream<MoveMessage>.makeStream()
    /// How to undo what has been made for the container here.
    private let rollback = Rollback()
    private var machine = SinkMachine()
    private var arrival: Arrival
    private var answer = MoveAnswer()
    private var reading: Task<Void, Never>?
    private var work: Task<Void, Never>?
    private var askers: [CheckedContinuation<MoveVerdict?, Never>] = []
    private var isOver = false
    private var isLinkLost = false
    private var memory = MoveMemory.stopCopy
    /// Running states of snapshots.
    private var states: [String: CheckpointRecord] = [:]

    // What has come so far.
    private var volume: (any VolumeReceiver)?
    private var choice = TransferChoice(.tree)
    private var state: CheckpointReceiver?
    private let pages = PageStream()
    private var pageReceiver: CRIUPageReceiver?
    private var prepared: PreparedArrival?
    private var held: HeldRestore?
    private let packets = ArrivingPackets()

    init(
        _ containers: ContainerService, _ arrival: Arrival, _ header: MigrationHeader, _ sockets: MoveSockets,
        _ control: ControlChannel, _ handle: OperationHandle
    ) {
        self.containers = containers
        self.arrival = arrival
        self.header = header
        offer = header.apusOffer
        self.sockets = sockets
        self.control = control
        self.handle = handle
    }

    /// Takes the container in. Returns when it runs here, and the source has said that it has ended there.
    /// - Throws: why it did not come; nothing of it is left here then.
    func run() async throws -> [String: JSONValue] {
        defer { finish() }
        events.continuation.yield(.offered)
        return try await withTaskCancellationHandler {
            // Not the operation's task: cancelling that only asks for an end.
            try await Task { try await self.loop() }.value
        } onCancel: {
            events.continuation.yield(.cancelled)
        }
    }

    /// Who owns the container; nil if that is being settled this moment.
    func ask() async -> MoveVerdict? {
        if isOver { return verdict }
        return await withCheckedContinuation { continuation in
            askers.append(continuation)
            events.continuation.yield(.asked)
        }
    }

    /// The source has said by another way that the container has ended there.
    func sourceEnded() { events.continuation.yield(.ended) }

    private var verdict: MoveVerdict? {
        switch machine.state {
        case .filling, .running, .moved, .lost: .moved
        case .resuming: nil
        default: .stayed
        }
    }

    private func finish() {
        isOver = true
        reading?.cancel()
        sockets.close()
        tellAskers(verdict)
    }

    private func tellAskers(_ verdict: MoveVerdict?) {
        for asker in askers { asker.resume(returning: verdict) }
        askers = []
    }

    private func loop() async throws -> [String: JSONValue] {
        listen()
        for await event in events.stream {
            if event == .linkLost { isLinkLost = true }
            for action in machine.handle(event) {
                do {
                    try await perform(action)
                } catch {
                    // What was to follow must not be done now.
                    events.continuation.yield(.failed(ServiceError.text(of: error)))
                    break
                }
            }
            switch machine.state {
            case .stayed(let reason):
                throw ServiceError.failure("cannot take in \(arrival.record.name): \(reason)")
            case .lost(let reason):
                throw ServiceError.failure("\(arrival.record.name) is lost: \(reason)")
            case .running where isLinkLost, .moved:
                figures.set("total_us", figures.elapsed)
                return ["apus_move": figures.json]
            case .resuming where event == .asked: tellAskers(nil)
            default: break
            }
        }
        throw ServiceError.cancelled
    }

    private func perform(_ action: SinkMachine.Action) async throws {
        switch action {
        case .journal(let state): try await containers.keep(record(state))
        case .check: try await check()
        case .sendAccept, .sendRefuse: try await sendAnswer()
        case .receive: begin(.received) { try await $0.receive() }
        case .restore: begin(.restored) { try await $0.restore() }
        case .sendHeld:
            let micros = UInt64(clamping: figures.value("restore_us"))
            try await control.send(.held(.with { $0.restoreMicroseconds = micros }))
        case .resume: begin(nil) { await $0.letRun() }
        case .sendResumed:
            let micros = UInt64(clamping: figures.value("resume_us"))
            // If this does not reach it, the source asks.
            try? await control.send(.resumed(.with { $0.resumeMicroseconds = micros }))
        case .discard:
            work?.cancel()
            await work?.value
            await discard()
        case .sendAbort(let reason): try? await control.send(.abort(.with { $0.reason = reason }))
        case .fill: begin(nil) { await $0.fill() }
        case .stopFilling: await pages.end()
        case .sendComplete: try? await control.send(.complete(.init()))
        case .finishLost(let reason): await containers.tellLostHere(arrival.record.name, reason)
        case .answer(let verdict): tellAskers(verdict)
        case .finishMoved: handle.progress("Waiting for the source to end")
        case .finishStayed: break
        case .forget: try await containers.forgetMove(offer.moveID, as: .sink(.receiving))
        }
    }

    private func record(_ state: SinkJournal) -> MoveRecord {
        MoveRecord(
            id: offer.moveID, role: .sink(state), container: arrival.record.name, secret: offer.secret,
            peer: MovePeerAddress(urls: offer.addresses, certificate: offer.certificate), deletes: false,
            startedAt: .now())
    }

    private func begin(
        _ success: SinkMachine.Event?, _ step: @escaping @Sendable (SinkMove) async throws -> Void
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

    // MARK: What the source says

    private func listen() {
        let (control, events, mail, packets) = (control, events.continuation, mail.continuation, packets)
        reading = Task {
            do {
                while let bytes = try await control.next() {
                    switch try ControlMessages.decode(bytes) {
                    case .commit: events.yield(.commit)
                    case .ended: events.yield(.ended)
                    case .packets(let some): await packets.bring(some)
                    case .abort(let abort): events.yield(.peerFailed(abort.reason))
                    case let other: mail.yield(other)
                    }
                }
                events.yield(.linkLost)
            } catch let error as MigrationError where error.code != .connectionLost {
                events.yield(.failed(error.message))
            } catch {
                events.yield(.linkLost)
            }
            mail.finish()
        }
    }

    // MARK: Steps

    private func check() async throws {
        handle.progress("Checking")
        let outcome = try await containers.check(arrival, header)
        answer = outcome.answer
        if let choice = outcome.choice { self.choice = choice }
        memory = MoveMemory(rawValue: answer.memoryMode) ?? .stopCopy
        events.continuation.yield(
            answer.refusals.isEmpty
                ? .acceptable(memory) : .refusable(answer.refusals.joined(separator: "; ")))
    }

    private func sendAnswer() async throws {
        var reply = MigrationHeader()
        reply.fs = header.fs
        reply.criu = header.criu
        reply.apusAnswer = answer
        try await control.send(ControlMessages.encode(reply))
    }

    /// Takes in whatever comes, until everything is there.
    private func receive() async throws {
        arrival.record = try await containers.begin(arrival, rollback)
        for await message in mail.stream {
            try Task.checkCancellation()
            switch message {
            case .pass(let pass): try await receive(pass)
            case .freezing(let freezing): try await prepare(attempt: Int(freezing.attempt))
            case .chunk(let chunk):
                guard let state else { throw outOfTurn }
                try state.accept(try CheckpointChunk(decoding: Array(chunk.piece)))
            case .state:
                guard let state else { throw outOfTurn }
                _ = try state.finish()
                guard memory == .stopCopy else { return }
                guard let pageReceiver else { throw outOfTurn }
                let received = try await pageReceiver.received()
                figures.set("memory_received", received.bytes)
                await pages.halt()
                return
            default: throw outOfTurn
            }
        }
        try Task.checkCancellation()
        throw MigrationError(.connectionLost, "the connection to the other host was lost")
    }

    private var outOfTurn: MigrationError {
        MigrationError(.protocolViolation, "the other host sent something out of turn")
    }

    private func receive(_ pass: Migration_ApusPass) async throws {
        let fs = try await sockets.socket(.fs)
        if pass.state { return try await receiveState(pass, over: fs) }
        let receiver = try await receiver(of: pass)
        let report = try await MoveStream.through(
            fs, count: { [figures] in figures.add("files_received", $0) }
        ) {
            try await receiver.receive(over: $0)
        }.report
        if pass.hasSnapshot {
            try await receiver.install()
            try await containers.keep(
                snapshot: pass.snapshot, of: arrival, header, state: states[pass.snapshot])
        }
        figures.pass(bytes: report.bytes, entries: report.copied, isLast: pass.last)
        try await control.send(
            .written(
                .with {
                    $0.number = pass.number
                    $0.bytes = report.bytes
                    $0.entries = UInt64(report.entries)
                }))
    }

    private func receiveState(_ pass: Migration_ApusPass, over fs: any MessageSocket) async throws {
        guard offer.statefulSnapshots.contains(pass.snapshot), states[pass.snapshot] == nil else {
            throw outOfTurn
        }
        handle.progress("Receiving snapshot \(pass.snapshot)")
        states[pass.snapshot] = try await containers.receiveState(
            of: pass.snapshot, of: arrival, over: fs, rollback
        ) { [figures] in figures.add("states_received", $0) }
        try await control.send(.written(.with { $0.number = pass.number }))
    }

    private func receiver(of pass: Migration_ApusPass) async throws -> any VolumeReceiver {
        if pass.hasSnapshot {
            handle.progress("Receiving snapshot \(pass.snapshot)")
            return try await snapshotReceiver(pass.snapshot)
        }
        if let volume { return volume }
        handle.progress("Receiving files")
        var options = TransferOptions(choice, progress: handle.transferProgress("Receiving files"))
        options.base = arrival.base
        let receiver = try await arrival.driver.receiver(.container(arrival.record.name), options)
        rollback.add { await receiver.discard() }
        volume = receiver
        return receiver
    }

    private func snapshotReceiver(_ name: String) async throws -> any VolumeReceiver {
        let volume = Volume.snapshot(container: arrival.record.name, name: name)
        try volume.validate()
        let driver = arrival.driver
        let receiver = try await driver.receiver(volume, TransferOptions(choice))
        rollback.add {
            await receiver.discard()
            if driver.exists(volume) { try await driver.delete(volume) }
        }
        return receiver
    }

    /// The source is about to stop the container: what needs no state is made ready before it does.
    private func prepare(attempt: Int) async throws {
        handle.progress("Taking over")
        guard let volume else { throw outOfTurn }
        if prepared == nil {
            // Not while it stands still.
            try await volume.flush()
            prepared = try await containers.prepare(arrival, rootfs: volume.directory + "/rootfs", rollback)
            rollback.add { [containers, offer] in await containers.removeMoveDirectory(offer.moveID) }
            rollback.add { [pages] in await pages.end() }
        }
        await pages.halt()
        pageReceiver?.cancel()
        let bytes = offer.memoryBytes + 256 << 20
        let place = try await containers.moveDirectory(offer.moveID, bytes: bytes)
        let state = try CheckpointReceiver(directory: place, limit: 1 << 30)
        self.state = state
        if memory == .stopCopy {
            let socket = try await pages.begin(try await sockets.socket(.criu))
            pageReceiver = try await containers.receivePages(socket, state)
        }
        try await control.send(.ready(.init()))
    }

    private func restore() async throws {
        guard let prepared, let volume, let state else { throw outOfTurn }
        let start = ContinuousClock.now
        let way = try await memory == .postCopy ? pages.begin(sockets.socket(.criu)) : nil
        let held = try await containers.restore(prepared, from: state.directory, pages: way)
        self.held = held
        rollback.add { [containers] in await containers.abandon(held, prepared.spec) }
        try await volume.install()
        let (driver, name) = (arrival.driver, Volume.container(arrival.record.name))
        rollback.add { if driver.exists(name) { try await driver.delete(name) } }
        figures.set("restore_us", (ContinuousClock.now - start).microseconds)
    }

    /// The container is this host's: it runs, or nothing of it is left.
    private func letRun() async {
        guard let held, let prepared else { return }
        let start = ContinuousClock.now
        do {
            try await containers.letRun(held, prepared, packets)
            figures.set("resume_us", (ContinuousClock.now - start).microseconds)
            rollback.disarm()
            events.continuation.yield(.resumed)
            if memory == .stopCopy { await settle() }
        } catch {
            events.continuation.yield(.notResumed(ServiceError.text(of: error)))
        }
    }

    /// It runs, and its memory follows.
    private func fill() async {
        do {
            try await containers.memoryComplete(arrival.record.name)
            events.continuation.yield(.complete)
        } catch {
            events.continuation.yield(
                .memoryLost(
                    "its memory stopped coming before all was there (\(ServiceError.text(of: error)))"))
        }
        await settle()
    }

    /// What has time until it runs.
    private func settle() async {
        await pages.end()
        await containers.removeMoveDirectory(offer.moveID)
        try? await volume?.flush()
    }

    private func discard() async {
        await rollback.undo()
        (volume, held, prepared, pageReceiver) = (nil, nil, nil, nil)
    }
}
