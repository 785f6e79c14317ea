import ApusAPI
import ContainerRuntime
import LinuxSystem
import Logging

extension ContainerService {
    /// Waits for the end of a generation, and takes note of it.
    func watch(_ live: LiveContainer) {
        let name = live.spec.name
        Task {
            let end = try? await live.connection.ended()
            await self.ended(live, name, end)
        }
    }

    /// The record of a generation that another one has taken the place of: the container's, or one with its name.
    private func record(of live: LiveContainer) -> ContainerRecord {
        if let entry = entries[live.spec.name] { return entry.record }
        var record = ContainerRecord()
        record.name = live.spec.name
        return record
    }

    /// A generation has ended: by itself, because it was told to, or because its runtime died (`end` is nil).
    /// Whoever learns of it first says so; again does nothing.
    func ended(_ live: LiveContainer, _ name: String, _ end: InitEnd?) async {
        defer { live.ended.happen() }
        // The name may have changed meanwhile, or another generation taken its place.
        guard let entry = entries.values.first(where: { $0.live === live }) else {
            try? await RuntimeCleanup.remove(live.spec)
            await stopDevices(live, record(of: live))
            return
        }
        let name = entry.record.name
        let log = logger(name)
        if end == nil {
            log.warning(
                "apus-runtime has died; what is left of the container is cleaned up, and it is stopped now")
        }
        do {
            try await RuntimeCleanup.remove(live.spec)
        } catch {
            log.error("cannot clean up after the container", metadata: ["error": "\(error)"])
        }
        await stopDevices(live, entry.record)
        guard entries[name]?.live === live else { return }
        entries[name]?.live = nil
        let operation = context.locks.action(of: name)
        let byItself = operation == nil && !endingDaemon
        do {
            try change(name) { record in
                record.generation = nil
                record.frozen = false
                if byItself { record.shouldRun = false }
            }
        } catch {
            log.error("cannot write the database", metadata: ["error": "\(error)"])
        }
        await sessions.forget(name)
        tell("instance-stopped", name)
        guard byItself else { return }
        if end == .rebootRequested {
            log.info("the container restarts itself")
            _ = try? start(name)
        } else if entry.record.ephemeral {
            log.info("the ephemeral container has ended and is deleted")
            _ = try? delete(name)
        }
    }
}
