import LinuxSystem
import Synchronization
import Testing

@Suite("Rollback")
struct RollbackTests {
    private struct Failed: Error {}
    private final class Steps: Sendable {
        let done = Mutex<[String]>([])
        func add(_ step: String) { done.withLock { $0.append(step) } }
        var all: [String] { done.withLock { $0 } }
    }

    @Test("What was done is undone in reverse order, and the first error goes on")
    func reverse() async {
        let steps = Steps()
        await #expect(throws: Failed.self) {
            try await withRollback { rollback in
                rollback.add { steps.add("first") }
                rollback.add { steps.add("second") }
                throw Failed()
            }
        }
        #expect(steps.all == ["second", "first"])
    }

    @Test("Nothing is undone after success, or once disarmed")
    func success() async throws {
        let steps = Steps()
        let value = try await withRollback { rollback in
            rollback.add { steps.add("undone") }
            return 3
        }
        #expect(value == 3)
        await #expect(throws: Failed.self) {
            try await withRollback { rollback in
                rollback.add { steps.add("undone") }
                rollback.disarm()
                throw Failed()
            }
        }
        #expect(steps.all.isEmpty)
    }

    @Test("An undo step that fails is reported and stops none of the others")
    func failingUndo() async {
        let steps = Steps()
        let reported = Steps()
        await #expect(throws: Failed.self) {
            try await withRollback(onUndoFailure: { _ in reported.add("report") }) { rollback in
                rollback.add { steps.add("first") }
                rollback.add { throw SystemError(call: "x", errno: 1, context: "undo") }
                throw Failed()
            }
        }
        #expect(steps.all == ["first"])
        #expect(reported.all == ["report"])
    }

    @Test("The same without waiting")
    func sync() {
        let steps = Steps()
        #expect(throws: Failed.self) {
            try withSyncRollback { rollback in
                rollback.add { steps.add("first") }
                rollback.add { steps.add("second") }
                throw Failed()
            }
        }
        #expect(steps.all == ["second", "first"])
    }
}
