package import ApusAPI
import ApusClient
import ArgumentParser
import NIOCore

/// Who connects to whom when a container goes to another host.
package enum RelocationMode: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// The target connects to the source.
    case pull
    /// The source connects to the target.
    case push
    /// Both talk to the client, which passes on what they say.
    case relay
}

/// How the memory of a running container goes to another host.
package enum MemoryMode: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// Whatever suits it.
    case auto
    /// While it stands still.
    case stopCopy = "stop-copy"
    /// After it has gone on.
    case postCopy = "post-copy"
    /// In rounds before, which only hosts can say whether they can.
    case preCopy = "pre-copy"
}

/// A container on its way from one host to another.
package struct Relocation: Sendable {
    /// The session with the host it is on.
    package var source: Session
    /// The session with the host it is to be on.
    package var target: Session
    /// Its name there.
    package var name: String
    /// The snapshot that goes in its place, to be a container there.
    package var snapshot: String?
    /// What it is to be called.
    package var newName: String
    /// Whether its processes go, too.
    package var live: Bool
    /// Whether it is gone from the source afterwards.
    package var deletes: Bool
    /// Whether its snapshots stay behind.
    package var withoutSnapshots = false
    /// Whether what is there already is brought up to date.
    package var refreshes = false
    /// Who connects to whom; nil: what works.
    package var mode: RelocationMode?
    /// How its memory goes.
    package var memory = MemoryMode.auto
    /// What the request to the target has besides what the container is.
    package var adjust: @Sendable (inout InstancesPost) throws -> Void = { _ in }

    /// Sends it there.
    /// - Returns: what was measured, if the hosts tell.
    package func run() async throws -> JSONValue? {
        let instance: Instance = try await source.client.instance(name)
        let post = try request(instance)
        switch mode ?? usualMode {
        case .pull: return try await pull(post)
        case .push: return try await push(post)
        case .relay: return try await relay(post)
        }
    }

    /// A host that is reached through its own socket need not listen for others, if it does the connecting.
    private var usualMode: RelocationMode {
        if case .unixSocket = source.client.endpoint { .push } else { .pull }
    }

    private func request(_ instance: Instance) throws -> InstancesPost {
        var post = InstancesPost(name: newName, source: .migrationPush(live: live))
        post.architecture = instance.architecture
        post.config = instance.config.filter { key, _ in
            guard key.hasPrefix("volatile.") else { return true }
            // A copy gets an address of its own.
            return deletes && key.hasSuffix(".hwaddr")
        }
        post.devices = instance.devices
        post.profiles = instance.profiles
        post.ephemeral = instance.ephemeral
        post.description = instance.description
        post.source.baseImage = instance.config["volatile.base_image"] ?? ""
        post.source.containerOnly = withoutSnapshots
        post.source.instanceOnly = withoutSnapshots
        post.source.refresh = refreshes
        try adjust(&post)
        return post
    }

    private func begin(_ departure: InstancePost) async throws -> ApusAPI.Operation {
        guard let snapshot else { return try await source.client.migrateInstance(name, departure) }
        return try await source.client.migrateSnapshot(snapshot, of: name, departure)
    }

    private var departure: InstancePost {
        var post = InstancePost(name: "")
        post.migration = true
        post.live = live
        post.containerOnly = withoutSnapshots
        post.instanceOnly = withoutSnapshots
        post.apusMemory = memory.rawValue
        post.apusMove = deletes
        return post
    }

    // MARK: The three ways

    private func pull(_ post: InstancesPost) async throws -> JSONValue? {
        let address = try await Self.address(of: source)
        let leaving = try await begin(departure)
        var post = post
        post.source.pull(
            from: "\(address.url)/1.0/operations/\(leaving.id)", certificate: address.certificate,
            secrets: leaving.moveSecrets)
        let coming: ApusAPI.Operation
        do {
            coming = try await target.client.createInstance(post)
        } catch {
            try? await source.client.cancelOperation(leaving.id)
            throw error
        }
        return try await follow(leaving, coming)
    }

    private func push(_ post: InstancesPost) async throws -> JSONValue? {
        let address = try await Self.address(of: target)
        let coming = try await target.client.createInstance(post)
        var departure = departure
        departure.target = InstancePostTarget(
            operation: "\(address.url)/1.0/operations/\(coming.id)", certificate: address.certificate,
            secrets: coming.moveSecrets)
        let leaving = try await leave(departure, expectedBy: coming)
        return try await follow(leaving, coming)
    }

    private func relay(_ post: InstancesPost) async throws -> JSONValue? {
        let coming = try await target.client.createInstance(post)
        let leaving = try await leave(departure, expectedBy: coming)
        let (source, target) = (source.client, target.client)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for socket in ["control", "fs", "criu"] {
                guard let one = leaving.moveSecrets[socket], let other = coming.moveSecrets[socket] else {
                    continue
                }
                group.addTask {
                    try await Relay(isControl: socket == "control").run(
                        source, leaving.id, one, target, coming.id, other)
                }
            }
            let result = try await follow(leaving, coming)
            group.cancelAll()
            return result
        }
    }

    /// Begins the source's end; if that is refused, the target need not wait for it.
    private func leave(_ departure: InstancePost, expectedBy coming: ApusAPI.Operation) async throws
        -> ApusAPI.Operation
    {
        do {
            return try await begin(departure)
        } catch {
            try? await target.client.cancelOperation(coming.id)
            throw error
        }
    }

    /// Waits for both ends. The source knows best why it does not work.
    private func follow(_ leaving: ApusAPI.Operation, _ coming: ApusAPI.Operation) async throws -> JSONValue?
    {
        do {
            let left = try await source.finish(leaving, "\(deletes ? "Moving" : "Copying") \(name)")
            let arrived = try await target.client.wait(for: coming)
            let theirs = arrived.metadata?["apus_move"]?.objectValue ?? [:]
            let ours = left.metadata?["apus_move"]?.objectValue ?? [:]
            return ours.isEmpty && theirs.isEmpty ? nil : .object(theirs.merging(ours) { $1 })
        } catch {
            try? await target.client.cancelOperation(coming.id)
            guard let failure = error as? ClientError, failure.code == .operationFailed else { throw error }
            // A source that only saw the connection end: the target may say why it ended it.
            let arrived = try? await target.client.waitForEnd(of: coming)
            if let arrived, !arrived.err.isEmpty, failure.message.contains("connection"),
                !arrived.err.contains("connection")
            {
                throw Failure(arrived.err)
            }
            throw error
        }
    }

    // MARK: Where hosts are

    /// Where other hosts find the daemon of a session, and how they know it.
    private static func address(of session: Session) async throws -> (url: String, certificate: String) {
        let server = try await session.client.server()
        if case .https(let address) = session.client.endpoint {
            return (address.url, server.environment?.certificate ?? "")
        }
        guard let first = server.environment?.addresses.first else {
            throw Failure(
                "the daemon on this machine does not listen for other hosts. Have it do so with \"apus config set core.https_address :8443\", or choose another --mode"
            )
        }
        return ("https://\(first)", server.environment?.certificate ?? "")
    }
}

/// Passes on what the two ends of a move say to each other.
private struct Relay: Sendable {
    let isControl: Bool

    func run(
        _ source: Client, _ leaving: String, _ sourceSecret: String, _ target: Client, _ coming: String,
        _ targetSecret: String
    ) async throws {
        try await source.webSocket(
            "/1.0/operations/\(leaving)/websocket", query: [(name: "secret", value: sourceSecret)]
        ) { one in
            try await target.webSocket(
                "/1.0/operations/\(coming)/websocket", query: [(name: "secret", value: targetSecret)]
            ) { other in
                if isControl {
                    for socket in [one, other] { await socket.noticeLoss(within: .seconds(10)) }
                }
                await withTaskGroup(of: Void.self) { group in
                    group.addTask { await pass(from: one, to: other) }
                    group.addTask { await pass(from: other, to: one) }
                    // Either end that goes takes the other with it.
                    await group.next()
                    group.cancelAll()
                }
            }
        }
    }

    private func pass(from one: WebSocket, to other: WebSocket) async {
        var messages = one.messages.makeAsyncIterator()
        // Messages of the control socket must stay whole; in streams nobody minds.
        while let message = try? await isControl ? messages.nextWhole(limit: 16 << 20) : messages.next() {
            do {
                switch message {
                case .bytes(let bytes): try await other.send(bytes)
                case .text(let text): try await other.send(text: text)
                case .endOfStream: try await other.sendEndOfStream()
                }
            } catch {
                return
            }
        }
    }
}

extension ApusAPI.Operation {
    /// The secrets of a migration's websockets.
    fileprivate var moveSecrets: [String: String] {
        let members = metadata?.objectValue ?? [:]
        return ["control", "fs", "criu"].reduce(into: [:]) { $0[$1] = members[$1]?.stringValue }
    }
}

/// What a move has come to, in one line.
package enum MoveSummary {
    /// `c1 is on host2: downtime 163 ms, 61 MiB in 1.4 s (2 passes); stop-copy: 61 MiB can be sent within 300 ms`.
    package static func line(_ name: String, on host: String, _ figures: JSONValue?) -> String {
        guard let figures, let total = figures["total_us"]?.intValue else { return "\(name) is on \(host)" }
        var parts: [String] = []
        if let downtime = figures["downtime_us"]?.intValue { parts.append("downtime \(downtime / 1000) ms") }
        let bytes = ["files_sent", "memory_sent", "state_sent"].compactMap { figures[$0]?.intValue }.reduce(
            0, +)
        let passes = figures["passes"]?.arrayValue?.count ?? 0
        parts.append(
            "\(Units.bytes(bytes)) in \(Units.fixed(Double(total) / 1e6, 1)) s (\(passes) \(passes == 1 ? "pass" : "passes"))"
        )
        return "\(name) is on \(host): " + parts.joined(separator: ", ") + memory(figures)
    }

    /// How its memory went, and why.
    private static func memory(_ figures: JSONValue) -> String {
        guard let mode = figures["memory"]?.stringValue, let reason = figures["memory_reason"]?.stringValue
        else {
            return ""
        }
        return "; \(mode): \(reason)"
    }
}
