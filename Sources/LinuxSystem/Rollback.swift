import Synchronization

/// Undo steps of a change that is made in several: run in reverse order if one of them fails.
public final class Rollback: Sendable {
    private typealias Step = @Sendable () async throws -> Void
    private let undos = Mutex<[Step]>([])
    private let report: @Sendable (any Error) -> Void

    /// For a change whose end is decided elsewhere; others are better off with `withRollback`.
    /// An undo step that fails does not stop the others: it is given to `report`.
    public init(report: @escaping @Sendable (any Error) -> Void = { _ in }) { self.report = report }

    /// Remembers how to undo what was just done.
    public func add(_ undo: @escaping @Sendable () async throws -> Void) {
        undos.withLock { $0.append(undo) }
    }

    /// Forgets all undo steps: from here on there is no way back.
    public func disarm() { undos.withLock { $0.removeAll() } }

    /// Undoes what was done, last first. There is nothing left to undo afterwards.
    public func undo() async {
        let steps = undos.withLock { steps in
            defer { steps.removeAll() }
            return steps
        }
        for step in steps.reversed() {
            do { try await step() } catch { report(error) }
        }
    }
}

/// Runs `body`; if it throws, what it added to the rollback is undone, last first, and the error goes on.
/// An undo step that fails does not stop the others: it is given to `onUndoFailure`.
public func withRollback<T>(
    isolation: isolated (any Actor)? = #isolation,
    onUndoFailure: @escaping @Sendable (any Error) -> Void = { _ in },
    _ body: (Rollback) async throws -> T
) async throws -> T {
    let rollback = Rollback(report: onUndoFailure)
    do {
        return try await body(rollback)
    } catch {
        await rollback.undo()
        throw error
    }
}

/// The same for code that may not wait.
public struct SyncRollback: ~Copyable {
    private var undos: [() throws -> Void] = []
    fileprivate init() {}

    /// Remembers how to undo what was just done.
    public mutating func add(_ undo: @escaping () throws -> Void) { undos.append(undo) }

    fileprivate mutating func run() -> [any Error] {
        var failures: [any Error] = []
        while let undo = undos.popLast() {
            do { try undo() } catch { failures.append(error) }
        }
        return failures
    }
}

/// Runs `body`; if it throws, what it added to the rollback is undone, last first, and the error goes on.
public func withSyncRollback<T>(
    onUndoFailure: (any Error) -> Void = { _ in }, _ body: (inout SyncRollback) throws -> T
) throws -> T {
    var rollback = SyncRollback()
    do {
        return try body(&rollback)
    } catch {
        for failure in rollback.run() { onUndoFailure(failure) }
        throw error
    }
}
