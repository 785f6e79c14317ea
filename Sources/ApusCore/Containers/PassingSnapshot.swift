import ContainerRuntime
import LinuxSystem
import Logging
import Storage

/// Reading a running container's files as they are at one instant.
extension ContainerService {
    /// Takes a snapshot of a running container that no user sees, and removes it when `body` has read it.
    func withPassingSnapshot(
        _ name: String, of live: LiveContainer, frozen: Bool, in driver: any StorageDriver,
        _ body: (Volume) async throws -> Void
    ) async throws {
        let files = FileSnapshot(driver: driver, container: live.spec.name, name: name)
        try await withRollback { rollback in
            rollback.add { await files.cancel() }
            try await files.begin()
            if !frozen { try await live.cgroup.setFrozen(true) }
            let outcome: Result<Void, any Error>
            do { outcome = .success(try await files.update()) } catch { outcome = .failure(error) }
            if !frozen { await live.thaw() }
            try outcome.get()
            try await files.commit()
        }
        let passing = Volume.snapshot(container: live.spec.name, name: name)
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(passing))
        } catch {
            outcome = .failure(error)
        }
        do {
            try await driver.delete(passing)
        } catch {
            logger(live.spec.name).error("cannot remove a passing snapshot", metadata: ["error": "\(error)"])
        }
        try outcome.get()
    }

    /// Removes such a snapshot that a crash has left.
    func removePassingSnapshot(_ snapshot: String, of container: String) async throws {
        guard let pool = entries[container]?.record.pool else { return }
        let driver = try pools.driver(pool)
        let passing = Volume.snapshot(container: container, name: snapshot)
        if driver.exists(passing) { try await driver.delete(passing) }
    }
}
