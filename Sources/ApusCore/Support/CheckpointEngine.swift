import CRIU
import Checkpoint

/// CRIU, once it is known to be there. A daemon without it runs containers all the same.
actor CheckpointEngine {
    private let version: String
    private var made: Task<Checkpointer, any Error>?

    init(version: String) { self.version = version }

    /// The way to make checkpoints.
    /// - Throws: what to install, if there is no CRIU. It is looked for again the next time.
    func checkpointer() async throws -> Checkpointer {
        let task = made ?? Task { [version] in try await Checkpointer(criu: .locate(), apusVersion: version) }
        made = task
        do {
            return try await task.value
        } catch {
            made = nil
            throw error
        }
    }

    /// Looks for CRIU beforehand, so that the first checkpoint does not have to.
    func warm() async { _ = try? await checkpointer() }
}
