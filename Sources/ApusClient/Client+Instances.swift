public import ApusAPI
import NIOCore
import NIOHTTP1

extension Client {
    /// The path of a container, or of something of it.
    static func path(_ name: String, _ rest: String = "") -> String {
        "/1.0/instances/\(name.percentEncoded)\(rest)"
    }

    /// All containers. Recursion 2 brings their state and snapshots as well.
    public func instances(recursion: Int = 2) async throws -> [Instance] {
        try await get("/1.0/instances", query: [("recursion", String(recursion))])
    }

    /// All containers as a type of the caller's, that needs fewer fields.
    public func instances<Row: Codable & Sendable>(recursion: Int, as type: Row.Type) async throws -> [Row] {
        try await get("/1.0/instances", query: [("recursion", String(recursion))])
    }

    /// The names of all containers.
    public func instanceNames() async throws -> [String] {
        let urls: [String] = try await get("/1.0/instances")
        return urls.map { String($0.split(separator: "/").last ?? "") }
    }

    /// A container; `full` brings its state and snapshots as well.
    public func instance(_ name: String, full: Bool = false) async throws -> Instance {
        try await get(Self.path(name), query: full ? [("recursion", "1")] : [])
    }

    /// Creates a container.
    public func createInstance(_ post: InstancesPost) async throws -> ApusAPI.Operation {
        try await begin(.POST, "/1.0/instances", post)
    }

    /// Changes what can be edited of a container, or restores a snapshot.
    public func updateInstance(
        _ name: String, _ put: InstancePut, etag: String? = nil
    ) async throws -> ApusAPI.Operation {
        try await begin(.PUT, Self.path(name), put, etag: etag)
    }

    /// Sets or unsets some keys of a container.
    public func patchInstance(_ name: String, _ patch: InstancePatch) async throws -> ApusAPI.Operation {
        try await begin(.PATCH, Self.path(name), patch)
    }

    /// Renames a snapshot.
    public func renameSnapshot(
        _ snapshot: String, of name: String, to newName: String
    ) async throws -> ApusAPI.Operation {
        try await begin(
            .POST, Self.path(name, "/snapshots/\(snapshot.percentEncoded)"),
            InstanceSnapshotPost(name: newName))
    }

    /// Renames a container.
    public func renameInstance(_ name: String, to newName: String) async throws -> ApusAPI.Operation {
        try await begin(.POST, Self.path(name), InstancePost(name: newName))
    }

    /// Moves a stopped container with its snapshots to another storage pool.
    public func moveInstance(_ name: String, toPool pool: String) async throws -> ApusAPI.Operation {
        try await begin(.POST, Self.path(name), InstancePost(pool: pool))
    }

    /// Begins the source's end of a copy or move to another host.
    public func migrateInstance(_ name: String, _ post: InstancePost) async throws -> ApusAPI.Operation {
        try await begin(.POST, Self.path(name), post)
    }

    /// Looks for what stands in the way of saving a container's running state.
    public func checkCheckpoint(_ name: String) async throws -> CheckpointCheck {
        try Self.metadata(
            of: try await perform(
                try Self.request(.POST, Self.path(name, "/checkpoint-check"), [String: String](), etag: nil)))
    }

    /// What such a check looks for.
    public func checkpointRules() async throws -> [CheckpointCheckRule] {
        try await get("/1.0/checkpoint-rules")
    }

    /// What the running state of a snapshot holds, or that of a stopped container.
    public func checkpoint(of name: String, snapshot: String?) async throws -> CheckpointState {
        let place = snapshot.map { "/snapshots/\($0.percentEncoded)" } ?? ""
        return try await get(Self.path(name, place + "/checkpoint"))
    }

    /// Begins the source's end of a copy of a snapshot to another host.
    public func migrateSnapshot(
        _ snapshot: String, of name: String, _ post: InstancePost
    ) async throws -> ApusAPI.Operation {
        try await begin(.POST, Self.path(name, "/snapshots/\(snapshot.percentEncoded)"), post)
    }

    /// Asks who owns a container that was on its way to the daemon.
    public func verdict(of move: String, _ post: MoveVerdictPost) async throws -> MoveVerdictReply {
        try Self.metadata(
            of: try await perform(
                try Self.request(.POST, "/1.0/moves/\(move.percentEncoded)/verdict", post, etag: nil)))
    }

    /// Whether there is a container of that name.
    public func instanceExists(_ name: String) async throws -> Bool {
        try await instanceNames().contains(name)
    }

    /// Deletes a container.
    public func deleteInstance(_ name: String) async throws -> ApusAPI.Operation {
        try await begin(.DELETE, Self.path(name))
    }

    /// What a container uses right now.
    public func instanceState(_ name: String) async throws -> InstanceState {
        try await get(Self.path(name, "/state"))
    }

    /// Starts, stops, restarts, freezes or thaws a container.
    public func changeState(of name: String, _ put: InstanceStatePut) async throws -> ApusAPI.Operation {
        try await begin(.PUT, Self.path(name, "/state"), put)
    }

    /// A container's snapshots.
    public func snapshots(of name: String) async throws -> [InstanceSnapshot] {
        try await get(Self.path(name, "/snapshots"), query: [("recursion", "1")])
    }

    /// One snapshot.
    public func snapshot(_ snapshot: String, of name: String) async throws -> InstanceSnapshot {
        try await get(Self.path(name, "/snapshots/\(snapshot.percentEncoded)"))
    }

    /// Takes a snapshot.
    public func createSnapshot(
        of name: String, _ post: InstanceSnapshotsPost
    ) async throws -> ApusAPI.Operation {
        try await begin(.POST, Self.path(name, "/snapshots"), post)
    }

    /// Deletes a snapshot.
    public func deleteSnapshot(_ snapshot: String, of name: String) async throws -> ApusAPI.Operation {
        try await begin(.DELETE, Self.path(name, "/snapshots/\(snapshot.percentEncoded)"))
    }

    /// The names of a container's log files.
    public func logs(of name: String) async throws -> [String] {
        let urls: [String] = try await get(Self.path(name, "/logs"))
        return urls.map { String($0.split(separator: "/").last ?? "") }
    }

    /// The text of one of a container's log files.
    public func log(_ file: String, of name: String) async throws -> String {
        let reply = try await perform(Request(.GET, Self.path(name, "/logs/\(file.percentEncoded)")))
        return String(decoding: reply.body.readableBytesView, as: UTF8.self)
    }

    /// What has appeared on a container's console so far.
    public func consoleLog(of name: String) async throws -> [UInt8] {
        let reply = try await perform(Request(.GET, Self.path(name, "/console")))
        return Array(reply.body.readableBytesView)
    }
}
