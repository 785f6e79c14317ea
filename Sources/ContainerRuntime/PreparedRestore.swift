import FoundationEssentials
public import LinuxSystem

/// What to restore.
public struct RestoreOptions: Sendable, Codable {
    /// The directory of the checkpoint, with `images/` and `checkpoint.json` in it.
    public var checkpoint: String
    /// Where CRIU's log is kept.
    public var logFile: String
    /// Whether images are compared with the manifest while they are read.
    public var verify: Bool

    /// A checkpoint and where to write CRIU's log.
    public init(checkpoint: String, logFile: String, verify: Bool = true) {
        self.checkpoint = checkpoint
        self.logFile = logFile
        self.verify = verify
    }
}

/// A restore of which everything is done that needs no checkpoint. Call `restore` or `abandon`; if the process that
/// holds it ends, the runtime gives it up.
public struct PreparedRestore: Sendable {
    let launch: Launch

    /// Restores the container and holds it: its processes are there but do not run yet. On failure nothing is left
    /// behind. With `pages`, a connected stream socket that belongs to the restore from now on, memory that is not in
    /// the images comes from the `CRIUPageSource` at its other end (`RuntimeConnection.memoryComplete`).
    public func restore(_ options: RestoreOptions, pages: FileDescriptor? = nil) async throws -> HeldRestore {
        let spec = launch.spec
        return try await withRollback { rollback in
            rollback.add { try await RuntimeCleanup.remove(spec) }
            rollback.add { try await launch.giveUp() }
            let json = try JSONEncoder().encode(options)
            defer { pages?.close() }
            // A runtime that has gone meanwhile is noticed by what comes next.
            try? launch.channel.send(
                [LaunchCommand.restore.rawValue] + Array(json), descriptors: pages.map { [$0] } ?? [])
            guard case .held(let pid) = try await launch.next(.restoreFailed, "restore") else {
                throw RuntimeError(
                    .malformed, "apus-runtime said something unexpected while restoring \(spec.name)")
            }
            rollback.disarm()
            return HeldRestore(launch: launch, initPID: pid)
        }
    }

    /// Removes everything that was prepared.
    public func abandon() async throws {
        try? launch.send(.abort)
        _ = try? await launch.process.waitUntilGone()
        try await RuntimeCleanup.remove(launch.spec)
    }
}

/// A container that was restored but does not run yet. Call `commit()` or `abort()`; if the process that
/// holds it ends, the runtime aborts.
public struct HeldRestore: Sendable {
    let launch: Launch
    /// Init, as the host sees it.
    public let initPID: Int32

    /// Lets the processes run. After this there is no way back. `reachable` is called when packets can come to them.
    public func commit(reachable: () async -> Void = {}) async throws -> RuntimeStatus {
        // A runtime that has gone meanwhile is noticed by what comes next.
        try? launch.send(.commit)
        return try await launch.finish(.restoreFailed, "restore", reachable: reachable)
    }

    /// Ends the processes and removes everything that the restore made. The checkpoint stays as it is.
    public func abort() async throws {
        try? launch.send(.abort)
        _ = try? await launch.process.waitUntilGone()
        try await RuntimeCleanup.remove(launch.spec)
    }
}
