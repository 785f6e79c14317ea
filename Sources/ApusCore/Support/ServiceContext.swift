import ApusAPI
import Checkpoint
import ContainerRuntime
import Glibc
import LinuxSystem
import Logging
import Synchronization

/// What all services share.
struct ServiceContext: Sendable {
    let directory: DataDirectory
    let daemonID: String
    let store: Store
    let config: ServerConfig
    let events: EventHub
    let operations: OperationService
    let locks: InstanceLocks
    let logger: Logger
    let launcher: RuntimeLauncher
    let layout: CgroupLayout
    let checkpoints: CheckpointEngine

    /// Starts an operation on a container, alone: its lock is taken at once, its journal entry lives as long as it.
    func operate(
        on name: String, _ action: String, _ description: String, detail: String = "",
        sockets: SocketSet? = nil, mayCancel: Bool = false,
        body: @escaping @Sendable (OperationHandle) async throws -> [String: JSONValue]?
    ) throws -> ApusAPI.Operation {
        let lock = try locks.acquire(name, action)
        let journal = try store.begin(JournalEntry(container: name, action: action, detail: detail))
        return operations.start(
            description, resources: ["instances": [name]], sockets: sockets, mayCancel: mayCancel
        ) { handle in
            defer { lock.release() }
            do {
                let result = try await body(handle)
                try store.end(journal: journal)
                return result
            } catch {
                logger.warning(
                    "operation failed",
                    metadata: [
                        "instance": "\(name)", "action": "\(action)",
                        "error": "\(ServiceError.text(of: error))",
                    ])
                try? store.end(journal: journal)
                throw error
            }
        }
    }
}

/// Something that happens once and can be waited for.
final class Occurrence: Sendable {
    private struct State {
        var happened = false
        var waiters: [Int: CheckedContinuation<Bool, Never>] = [:]
        var next = 0
    }
    private let state = Mutex(State())

    /// Tells all who wait, and all who come later.
    func happen() {
        let waiters = state.withLock { state in
            state.happened = true
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        for waiter in waiters { waiter.resume(returning: true) }
    }

    /// Whether it has happened when this returns: at once, later, or not within the time (or task).
    func wait(_ timeout: Duration? = nil) async -> Bool {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now: Bool? = state.withLock { state in
                    if state.happened { return true }
                    if Task.isCancelled || timeout == .zero { return false }
                    state.waiters[id] = continuation
                    return nil
                }
                if let now { return continuation.resume(returning: now) }
                guard let timeout else { return }
                // Begun only now: a timer that fired before anyone waited would be lost.
                Task {
                    try await Task.sleep(for: timeout)
                    giveUp(id)
                }
            }
        } onCancel: {
            giveUp(id)
        }
    }

    private func giveUp(_ id: Int) {
        let waiter = state.withLock { $0.waiters.removeValue(forKey: id) }
        waiter?.resume(returning: false)
    }
}
