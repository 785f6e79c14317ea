import LinuxSystem
import Synchronization

/// The way of memory pages through a move's websocket, one try after the other: each ends on both sides before the next
/// begins.
actor PageStream {
    private var halting: Occurrence?
    private var running: Task<Void, any Error>?

    /// Begins a stream; what is written to the descriptor comes out at the other host. It belongs to the caller.
    func begin(_ socket: any MessageSocket, count: @escaping @Sendable (Int) -> Void = { _ in }) async throws
        -> FileDescriptor
    {
        _ = try? await running?.value
        let halting = Occurrence()
        self.halting = halting
        return try await withCheckedThrowingContinuation { continuation in
            let ready = Handed(continuation)
            running = Task {
                do {
                    try await MoveStream.through(socket, count: count) { descriptor in
                        ready.give(.success(descriptor))
                        _ = await halting.wait()
                    }
                } catch {
                    ready.give(.failure(error))
                    throw error
                }
            }
        }
    }

    /// This side has said everything; the other side will say so, too.
    func halt() { halting?.happen() }

    /// Ends what is under way.
    func end() async {
        halting?.happen()
        running?.cancel()
        _ = try? await running?.value
    }
}

/// A continuation that is resumed once.
private final class Handed: Sendable {
    private let continuation: CheckedContinuation<FileDescriptor, any Error>
    private let isGiven = Atomic(false)

    init(_ continuation: CheckedContinuation<FileDescriptor, any Error>) { self.continuation = continuation }

    func give(_ result: Result<FileDescriptor, any Error>) {
        if !isGiven.exchange(true, ordering: .acquiringAndReleasing) { continuation.resume(with: result) }
    }
}
