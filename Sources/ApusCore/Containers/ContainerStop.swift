public import ApusAPI
import ContainerRuntime
import Glibc
import LinuxSystem

extension ContainerService {
    /// How long init gets to end cleanly when the request does not say.
    static let defaultStopTimeout: Duration = .seconds(60)

    /// Changes what a container does: start, stop, restart, freeze, unfreeze.
    public func changeState(_ name: String, _ put: InstanceStatePut) throws -> ApusAPI.Operation {
        let entry = try entry(name)
        let timeout: Duration = put.timeout <= 0 ? Self.defaultStopTimeout : .seconds(put.timeout)
        switch put.action {
        case "start":
            return try start(name, stateless: put.apusStateless)
        case "stop":
            return put.stateful ? try stopStateful(name) : try stop(name, timeout: timeout, force: put.force)
        case "restart":
            guard entry.live != nil else { throw ServiceError.badRequest("The instance is already stopped") }
            return try context.operate(on: name, "restarting", "Restarting instance") { _ in
                try await self.stopNow(name, timeout: timeout, force: put.force)
                try await self.startNow(name)
                await self.tellRestarted(name)
                return nil
            }
        case "freeze":
            return try setFrozen(name, true)
        case "unfreeze":
            return try setFrozen(name, false)
        default:
            throw ServiceError.badRequest("Unknown action: '\(put.action)'")
        }
    }

    /// Stops a container: init is asked to end, or with force everything is killed.
    public func stop(_ name: String, timeout: Duration, force: Bool) throws -> ApusAPI.Operation {
        guard try entry(name).live != nil else {
            throw ServiceError.badRequest("The instance is already stopped")
        }
        return try context.operate(on: name, "stopping", "Stopping instance") { _ in
            try await self.stopNow(name, timeout: timeout, force: force)
            try await self.finishStop(name)
            return nil
        }
    }

    /// Stops a container; its lock is held by the caller.
    func stopNow(_ name: String, timeout: Duration, force: Bool) async throws {
        guard let live = try entry(name).live else { return }
        if try entry(name).record.frozen {
            await live.thaw()
            try change(name) { $0.frozen = false }
        }
        if force {
            try await kill(live)
            return
        }
        try await live.connection.stop()
        guard await live.ended.wait(timeout) else {
            throw ServiceError.failure(
                "\"\(name)\" was asked to stop but has not done so in \(timeout.components.seconds) s. "
                    + "Wait longer with --timeout, or stop it with --force")
        }
    }

    /// Kills everything in a container and waits until nothing is left.
    func kill(_ live: LiveContainer) async throws {
        do {
            try await live.connection.signalInit(SIGKILL)
            await live.thaw()
        } catch {
            try await RuntimeCleanup.remove(live.spec)
        }
        if await live.ended.wait(.seconds(5)) { return }
        // A runtime that does not end by itself is taken away with all it holds.
        try await RuntimeCleanup.remove(live.spec)
        await ended(live, live.spec.name, .killed(SIGKILL))
    }

    /// After a stop that a user asked for: it stays stopped, and an ephemeral container goes.
    private func finishStop(_ name: String) async throws {
        let record = try change(name) { $0.shouldRun = false }
        if record.ephemeral { try await deleteNow(name) }
    }

    private func tellRestarted(_ name: String) { tell("instance-restarted", name) }

    private func setFrozen(_ name: String, _ frozen: Bool) throws -> ApusAPI.Operation {
        let entry = try entry(name)
        guard let live = entry.live else { throw ServiceError.badRequest("The instance is not running") }
        guard entry.record.frozen != frozen else {
            throw ServiceError.badRequest(
                frozen ? "The instance is already frozen" : "The instance is not frozen")
        }
        let (action, description) =
            frozen ? ("freezing", "Freezing instance") : ("unfreezing", "Unfreezing instance")
        return try context.operate(on: name, action, description) { _ in
            try await withRollback { rollback in
                rollback.add { try await live.cgroup.setFrozen(!frozen) }
                try await live.cgroup.setFrozen(frozen)
                try await self.noteFrozen(name, frozen)
            }
            return nil
        }
    }

    private func noteFrozen(_ name: String, _ frozen: Bool) throws {
        try change(name) { $0.frozen = frozen }
        tell(frozen ? "instance-paused" : "instance-resumed", name)
    }
}
