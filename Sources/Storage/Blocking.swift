import Dispatch

/// Runs calls that block, away from the threads of Swift's concurrency.
package enum Blocking {
    private static let queue = DispatchQueue(
        label: "apus.storage", qos: .userInitiated, attributes: .concurrent)

    /// Runs `body` on a thread of its own kind and awaits its result.
    package static func run<Result: Sendable>(
        _ body: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Swift.Result(catching: body)) }
        }
    }
}
