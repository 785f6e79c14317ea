public import ApusAPI
import Checkpoint
import FoundationEssentials
import LinuxSystem
import Migration
import Storage

extension ContainerService {
    /// Begins the source's end of a copy or move to another host. The operation's websockets are for the sink, or this
    /// daemon connects to those of the sink's operation (`post.target`).
    public func migrate(_ name: String, _ post: InstancePost) async throws -> ApusAPI.Operation {
        let entry = try entry(name)
        let live = post.live && entry.live != nil
        if live { try await checkMovable(name) }
        try MemoryWish.check(post.apusMemory)
        let memory = live ? try await memoryWish(name, post.apusMemory) : nil
        return try send(name, post, live: live) { sockets, handle in
            if let memory {
                let plan = try await self.sourcePlan(name, post, memory)
                return try await SourceMove(self, plan, sockets, handle).run()
            }
            return try await StatelessSource(self, name, post, sockets, handle).run()
        }
    }

    /// Begins the source's end of a copy of a snapshot, which is to be a container of its own on another host.
    public func migrateSnapshot(
        _ name: String, _ snapshot: String, _ post: InstancePost
    ) throws -> ApusAPI.Operation {
        _ = try record(name, snapshot)
        return try send(name, post, live: false) { sockets, handle in
            try await StatelessSource(self, name, post, sockets, handle, snapshot: snapshot).run()
        }
    }

    /// Begins an operation that talks with the sink, whichever of the two connects.
    private func send(
        _ name: String, _ post: InstancePost, live: Bool,
        _ work: @escaping @Sendable (MoveSockets, OperationHandle) async throws -> [String: JSONValue]
    ) throws -> ApusAPI.Operation {
        let sockets = MoveSockets()
        let dialer = try post.target.map {
            try MoveDialer(operation: $0.operation, certificate: $0.certificate, secrets: $0.secrets)
        }
        let names = MoveSockets.Name.allCases.map(\.rawValue).filter { live || $0 != "criu" }
        let offered =
            dialer == nil
            ? SocketSet(names: names, isFlat: true) { await sockets.serve($0, $1) } : nil
        return try context.operate(
            on: name, live ? "moving" : "being copied to another host", "Migrating instance",
            sockets: offered, mayCancel: true
        ) { handle in
            let dialing = dialer?.connect(to: sockets)
            defer {
                sockets.close()
                dialing?.cancel()
            }
            return try await work(sockets, handle)
        }
    }

    /// Refuses what can be known to fail before the other host hears of it.
    private func checkMovable(_ name: String) async throws {
        try checkStateful(name)
        let live = try live(name)
        let checkpointer = try await context.checkpoints.checkpointer()
        let findings = try await checkpointer.preflight(subject(live))
        guard findings.isEmpty else { throw notCheckpointable(name, findings) }
    }

    /// Begins the sink's end of a copy or move from another host.
    func takeIn(_ planned: ContainerRecord, _ source: InstanceSource) throws -> ApusAPI.Operation {
        let sockets = MoveSockets()
        let dialer: MoveDialer?
        let offered: SocketSet?
        switch source.mode {
        case "pull", "":
            dialer = try MoveDialer(
                operation: source.operation, certificate: source.certificate, secrets: source.secrets)
            offered = nil
        case "push":
            dialer = nil
            let names = MoveSockets.Name.allCases.map(\.rawValue).filter { source.live || $0 != "criu" }
            offered = SocketSet(names: names, isFlat: true) { await sockets.serve($0, $1) }
        default:
            throw ServiceError.badRequest(
                "\"\(source.mode)\" is not a mode of a migration; use \"pull\" or \"push\"")
        }
        let driver = try pools.driver(planned.pool)
        let image = Volume.image(fingerprint: planned.baseImage)
        let arrival = Arrival(
            record: planned, driver: driver,
            base: !planned.baseImage.isEmpty && driver.exists(image) ? image : nil)
        return try context.operate(
            on: planned.name, "receiving", "Creating instance", sockets: offered, mayCancel: true
        ) { handle in
            let dialing = dialer?.connect(to: sockets)
            defer {
                sockets.close()
                dialing?.cancel()
            }
            handle.progress("Connecting")
            let control = ControlChannel(try await sockets.socket(.control))
            let header = try await control.next(MigrationHeader.self)
            guard header.hasApusOffer, header.apusOffer.live else {
                return try await StatelessSink(self, arrival, header, sockets, control, handle).run()
            }
            return try await self.takeInLive(arrival, header, sockets, control, handle)
        }
    }

    private func takeInLive(
        _ arrival: Arrival, _ header: MigrationHeader, _ sockets: MoveSockets, _ control: ControlChannel,
        _ handle: OperationHandle
    ) async throws -> [String: JSONValue] {
        var arrival = arrival
        try arrival.take(header.apusOffer)
        let id = header.apusOffer.moveID
        guard sinkMoves[id] == nil else { throw ServiceError.conflict("This move is under way already") }
        let move = SinkMove(self, arrival, header, sockets, control, handle)
        sinkMoves[id] = move
        defer { sinkMoves[id] = nil }
        return try await move.run()
    }
}

extension Arrival {
    /// What the source tells of the container besides what the request says.
    mutating func take(_ offer: MoveOffer) throws {
        let instance: Instance
        do {
            instance = try APIJSON.decode(Instance.self, from: offer.instance)
        } catch {
            throw MigrationError(.protocolViolation, "the other host sent no description of the container")
        }
        record.createdAt = instance.createdAt
        record.volatile.merge(instance.config.hardwareAddresses) { $1 }
        if record.baseImage.isEmpty { record.baseImage = instance.config["volatile.base_image"] ?? "" }
        if !ConfigValues.isTrue(instance.expandedConfig, "security.privileged"),
            let base = instance.config["volatile.idmap.base"].flatMap({ Int64($0) }), base > 0
        {
            let size = instance.expandedConfig["security.idmap.size"].flatMap { Int64($0) }
            record.idmap = base..<(base + (size ?? IDMapAllocator.defaultSize))
        }
        if let uuid = instance.config["volatile.uuid"], offer.move { record.uuid = uuid }
    }
}
