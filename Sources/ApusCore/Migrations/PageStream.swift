import CRIU
import Glibc
import LinuxSystem
import Synchronization

/// The way of memory pages through a move's websocket, one try after the other: each ends on both sides before the next
/// begins.
actor PageStream {
    private var halting: Occurrence?
    private var running: Task<Void, any Error>?

    /// Begins a stream; what is written to the descriptor comes out at the other host. It belongs to the caller.
    /// - Parameter isDump: whether it is a dump that writes, which gets answers that are known here.
    func begin(
        _ socket: any MessageSocket, isDump: Bool = false, count: @escaping @Sendable (Int) -> Void = { _ in }
    ) async throws -> FileDescriptor {
        _ = try? await running?.value
        let halting = Occurrence()
        self.halting = halting
        return try await withCheckedThrowingContinuation { continuation in
            let ready = Handed(continuation)
            running = Task {
                do {
                    try await MoveStream.through(
                        socket, answers: isDump ? PageAnswers() : nil, count: count
                    ) { descriptor in
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

/// The answers to a dump, for the two directions of its stream.
final class PageAnswers: Sendable {
    private let state = Mutex(CRIUPageAnswers(pageSize: Int(sysconf(Int32(_SC_PAGESIZE)))))

    func sent(_ bytes: [UInt8]) -> [UInt8] { state.withLock { $0.sent(bytes) } }
    func received(_ bytes: [UInt8]) -> [UInt8] { state.withLock { $0.received(bytes) } }
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
