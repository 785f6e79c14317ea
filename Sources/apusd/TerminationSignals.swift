import Dispatch
import Glibc

/// SIGTERM and SIGINT, as something to wait for.
final class TerminationSignals: Sendable {
    private let stream: AsyncStream<Void>
    private let sources: Sources

    /// Dispatch sources may be used from any thread, though they are not declared so.
    private struct Sources: @unchecked Sendable {
        let all: [any DispatchSourceSignal]
    }

    init() {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        self.stream = stream
        sources = Sources(
            all: [SIGTERM, SIGINT].map { number in
                let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
                source.setEventHandler { continuation.yield() }
                source.activate()
                return source
            })
    }

    /// Waits for the first of them.
    func wait() async -> EndReason {
        for await _ in stream { break }
        return .signal
    }
}
