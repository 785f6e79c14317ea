import Synchronization

/// What is to become of a container that stands still, once that is known.
final class Decision: Sendable {
    /// The two ways.
    enum Outcome: Sendable {
        /// It runs elsewhere; what is here ends.
        case end
        /// It runs on here.
        case release
    }

    private let outcome = Mutex<Outcome?>(nil)
    private let made = Occurrence()

    /// Makes it; a second time does nothing.
    func make(_ outcome: Outcome) {
        self.outcome.withLock { $0 = $0 ?? outcome }
        made.happen()
    }

    /// Waits for it; nil if the task was cancelled before.
    func value() async -> Outcome? {
        _ = await made.wait()
        return outcome.withLock { $0 }
    }
}
