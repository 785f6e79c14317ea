import ContainerRuntime
import Synchronization

/// What is done while the tasks stand still, beside CRIU's own work.
final class FrozenWork: Sendable {
    private struct State {
        var findings: Task<CheckpointRecorder.Findings, any Error>?
        var step: Task<Void, any Error>?
        var record: CheckpointRecord?
        var isSaved = false
    }

    private let state = Mutex(State())

    func begin(
        collect: @escaping @Sendable () throws -> CheckpointRecorder.Findings, step: Checkpointer.Step?
    ) {
        state.withLock { state in
            state.findings = Task { try await onThread(collect) }
            if let step { state.step = Task { try await step() } }
        }
    }

    func findings() async throws -> CheckpointRecorder.Findings {
        guard let task = state.withLock({ $0.findings }) else {
            throw CheckpointError(.dumpFailed, "CRIU did not say when the tasks stood still")
        }
        return try await task.value
    }

    func stepDone() async throws { try await state.withLock { $0.step }?.value }

    /// Everything is saved, the files too: what comes after this changes nothing any more.
    func setSaved() { state.withLock { $0.isSaved = true } }

    var isSaved: Bool { state.withLock { $0.isSaved } }

    func set(_ record: CheckpointRecord) { state.withLock { $0.record = record } }

    func record() throws -> CheckpointRecord {
        guard let record = state.withLock({ $0.record }) else {
            throw CheckpointError(.dumpFailed, "CRIU did not say when everything was saved")
        }
        return record
    }

    /// Stops what is still under way and waits for its end.
    func cancel() async {
        let (findings, step) = state.withLock { ($0.findings, $0.step) }
        step?.cancel()
        _ = await step?.result
        _ = await findings?.result
    }
}
