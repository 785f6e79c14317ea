import CRIU
import Checkpoint
import Synchronization

/// CRIU, once it is known to be there. A daemon without it runs containers all the same.
final class CheckpointEngine: Sendable {
    private let stateDirectory: String
    private let version: String
    private let found = Mutex<Checkpointer?>(nil)

    init(stateDirectory: String, version: String) {
        self.stateDirectory = stateDirectory
        self.version = version
    }

    /// The way to make checkpoints.
    /// - Throws: what to install, if there is no CRIU.
    func checkpointer() throws -> Checkpointer {
        if let present = found.withLock({ $0 }) { return present }
        let made = Checkpointer(
            criu: try CRIUInstallation.locate(), apusVersion: version, stateDirectory: stateDirectory)
        found.withLock { $0 = made }
        return made
    }

    /// Looks for CRIU beforehand, so that the first checkpoint does not have to.
    func warm() { _ = try? checkpointer() }
}
