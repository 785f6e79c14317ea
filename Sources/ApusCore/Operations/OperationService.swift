public import ApusAPI
import Synchronization

/// Work in the background: created by requests, watched through events and wait, kept a while after its end.
public final class OperationService: Sendable {
    /// How long an ended operation can still be asked for.
    public static let retention: Duration = .seconds(30)
    /// The shortest time between two progress events of one operation.
    static let progressInterval: Duration = .milliseconds(100)

    private struct Entry {
        var operation: Operation
        var task: Task<Void, Never>?
        var cancel: (@Sendable () -> Void)?
        var sockets: SocketSet?
        /// A user's session: the daemon's end does not wait for it.
        var isSession: Bool
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
        var lastEvent: ContinuousClock.Instant = .now
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var nextWaiter = 0
        var idle: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())
    private let events: EventHub

    /// A service that tells its events to a hub.
    public init(events: EventHub) { self.events = events }

    /// Starts work as an operation. The operation is running when this returns.
    /// - Parameters:
    ///   - description: in LXD's words, such as "Creating instance".
    ///   - class: "task", "websocket" or "token"; nil for "websocket" if there are sockets, else "task".
    ///   - resources: names by kind, such as ["instances": ["c1"]].
    ///   - sockets: makes it an operation of class "websocket".
    ///   - isSession: whether it lasts as long as a user likes: the daemon's end does not wait for it.
    ///   - mayCancel: whether DELETE cancels the task.
    ///   - body: the work; what it returns becomes part of the metadata.
    @discardableResult
    public func start(
        _ description: String, class: String? = nil, resources: [String: [String]] = [:],
        metadata: [String: JSONValue] = [:], sockets: SocketSet? = nil, isSession: Bool = false,
        mayCancel: Bool = false,
        cancel: (@Sendable () -> Void)? = nil,
        body: @escaping @Sendable (OperationHandle) async throws -> [String: JSONValue]?
    ) -> Operation {
        var operation = Operation()
        operation.id = RandomID.uuid()
        operation.class = `class` ?? (sockets == nil ? "task" : "websocket")
        operation.description = description
        operation.createdAt = .now()
        operation.updatedAt = operation.createdAt
        operation.resources = Self.urls(resources)
        var metadata = metadata
        if let sockets {
            let secrets = sockets.secrets.mapValues { JSONValue.string($0) }
            if sockets.isFlat { metadata.merge(secrets) { $1 } } else { metadata["fds"] = .object(secrets) }
        }
        operation.metadata = metadata.isEmpty ? nil : .object(metadata)
        operation.mayCancel = mayCancel
        set(&operation, .pending)
        state.withLock { state in
            state.entries[operation.id] = Entry(
                operation: operation, cancel: cancel, sockets: sockets, isSession: isSession || sockets != nil
            )
        }
        tell(operation)
        set(&operation, .running)
        state.withLock { $0.entries[operation.id]?.operation = operation }
        tell(operation)
        let handle = OperationHandle(id: operation.id, service: self)
        let task = Task { [self] in
            do {
                let result = try await body(handle)
                finish(handle.id, .success, members: result ?? [:])
            } catch is CancellationError {
                finish(handle.id, .cancelled, error: ServiceError.cancelled.message)
            } catch {
                let cancelled = Task.isCancelled
                finish(handle.id, cancelled ? .cancelled : .failure, error: ServiceError.text(of: error))
            }
        }
        state.withLock { $0.entries[operation.id]?.task = task }
        return operation
    }

    /// An operation, if it is still known.
    public func get(_ id: String) throws -> Operation {
        guard let entry = state.withLock({ $0.entries[id] }) else {
            throw ServiceError.notFound("Operation not found")
        }
        return entry.operation
    }

    /// All operations, oldest first.
    public func list() -> [Operation] {
        state.withLock { $0.entries.values.map(\.operation) }.sorted { $0.createdAt < $1.createdAt }
    }

    /// The sockets of an operation of class "websocket".
    public func sockets(_ id: String) throws(ServiceError) -> SocketSet {
        guard let entry = state.withLock({ $0.entries[id] }) else {
            throw ServiceError.notFound("Operation not found")
        }
        // Also after its end: a quick command may be done before its client has connected them all.
        guard let sockets = entry.sockets else {
            throw ServiceError.badRequest("This operation has no websocket to connect to")
        }
        return sockets
    }

    /// Waits until an operation has ended, or the time is over; without a time, for as long as it takes.
    public func wait(_ id: String, timeout: Duration?) async throws -> Operation {
        let operation = try get(id)
        if operation.state.isFinal || timeout == .zero { return operation }
        let waiter = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ended = state.withLock { state in
                    guard var entry = state.entries[id], !entry.operation.state.isFinal, !Task.isCancelled
                    else {
                        return true
                    }
                    entry.waiters[waiter] = continuation
                    state.entries[id] = entry
                    return false
                }
                if ended { return continuation.resume() }
                guard let timeout else { return }
                // Begun only now: a timer that fired before anyone waited would be lost.
                Task {
                    try await Task.sleep(for: timeout)
                    resumeWaiter(id, waiter)
                }
            }
        } onCancel: {
            resumeWaiter(id, waiter)
        }
        return (try? get(id)) ?? operation
    }

    /// Cancels an operation that allows it.
    public func cancel(_ id: String) throws {
        let (task, cancel) = try state.withLock { state in
            guard var entry = state.entries[id] else { throw ServiceError.notFound("Operation not found") }
            guard entry.operation.mayCancel, !entry.operation.state.isFinal else {
                throw ServiceError.badRequest("This operation can't be cancelled")
            }
            set(&entry.operation, .cancelling)
            entry.operation.mayCancel = false
            state.entries[id] = entry
            return (entry.task, entry.cancel)
        }
        if let operation = try? get(id) { tell(operation) }
        cancel?()
        task?.cancel()
    }

    /// Waits until no operation runs but users' sessions, or the time is over.
    public func drain(timeout: Duration) async {
        let deadline = ContinuousClock.now + timeout
        while let running = nextToDrain() {
            let left = deadline - .now
            guard left > .zero else { return }
            _ = try? await wait(running, timeout: left)
        }
    }

    private func nextToDrain() -> String? {
        state.withLock { state in
            state.entries.first { !$0.value.operation.state.isFinal && !$0.value.isSession }?.key
        }
    }

    func merge(_ id: String, _ members: [String: JSONValue], transient: Bool) {
        let changed: Operation? = state.withLock { state in
            guard var entry = state.entries[id], !entry.operation.state.isFinal else { return nil }
            var metadata = entry.operation.metadata?.objectValue ?? [:]
            metadata.merge(members) { _, new in new }
            entry.operation.metadata = .object(metadata)
            entry.operation.updatedAt = .now()
            let now = ContinuousClock.now
            let due = !transient || now - entry.lastEvent >= Self.progressInterval
            if due { entry.lastEvent = now }
            state.entries[id] = entry
            return due ? entry.operation : nil
        }
        if let changed { tell(changed) }
    }

    private func finish(
        _ id: String, _ code: StatusCode, members: [String: JSONValue] = [:], error: String = ""
    ) {
        let ended: (Operation, [CheckedContinuation<Void, Never>])? = state.withLock { state in
            guard var entry = state.entries[id] else { return nil }
            var metadata = entry.operation.metadata?.objectValue ?? [:]
            for key in OperationHandle.progressKeys { metadata[key] = nil }
            metadata.merge(members) { _, new in new }
            entry.operation.metadata = metadata.isEmpty ? nil : .object(metadata)
            entry.operation.err = error
            entry.operation.mayCancel = false
            set(&entry.operation, code)
            let waiters = Array(entry.waiters.values)
            entry.waiters = [:]
            entry.task = nil
            entry.cancel = nil
            state.entries[id] = entry
            return (entry.operation, waiters)
        }
        guard let (operation, waiters) = ended else { return }
        tell(operation)
        for waiter in waiters { waiter.resume() }
        Task { [weak self] in
            try? await Task.sleep(for: Self.retention)
            self?.forget(id)
        }
    }

    /// Tells everyone who listens; the secret of a token is for the one who asked for it.
    private func tell(_ operation: Operation) {
        var operation = operation
        if operation.class == "token", var metadata = operation.metadata?.objectValue {
            metadata["secret"] = nil
            operation.metadata = .object(metadata)
        }
        events.publish(.operation, operation)
    }

    private func forget(_ id: String) {
        let isQuiet = state.withLock { state in
            state.entries[id] = nil
            return state.entries.isEmpty
        }
        if isQuiet { ProgramText.release() }
    }

    private func resumeWaiter(_ id: String, _ waiter: Int) {
        let continuation = state.withLock { $0.entries[id]?.waiters.removeValue(forKey: waiter) }
        continuation?.resume()
    }

    private func set(_ operation: inout Operation, _ code: StatusCode) {
        operation.statusCode = code.rawValue
        operation.status = code.text
        operation.updatedAt = .now()
    }

    /// LXD's clients take the new container's name from "containers" or "instances", whichever they know.
    private static func urls(_ resources: [String: [String]]) -> [String: [String]]? {
        guard !resources.isEmpty else { return nil }
        var urls: [String: [String]] = [:]
        for (kind, names) in resources {
            urls[kind] = names.map { "/1.0/\(kind)/\($0)" }
            if kind == "instances" { urls["containers"] = names.map { "/1.0/containers/\($0)" } }
        }
        return urls
    }
}
