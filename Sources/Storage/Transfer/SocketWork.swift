import Glibc
import LinuxSystem

/// Blocking work on a socket that a cancelled task gets out of.
enum SocketWork {
    /// Runs `body`, and closes the socket. If the task is cancelled, the socket's reads and writes fail.
    static func run<Result: Sendable>(
        _ socket: FileDescriptor, _ body: @escaping @Sendable () throws -> Result
    )
        async throws -> Result
    {
        defer { socket.close() }
        return try await withTaskCancellationHandler {
            do {
                return try await Blocking.run(body)
            } catch  where Task.isCancelled {
                throw CancellationError()
            }
        } onCancel: {
            _ = shutdown(socket.rawValue, Int32(SHUT_RDWR))
        }
    }
}

/// Failures of transfers in words: which side, and what it was doing.
enum TransferFailure {
    /// The error of an operation such as `cannot send container c1`.
    static func describe(_ error: any Error, _ action: String, _ pool: String) -> any Error {
        switch error {
        case is StreamEnded:
            StorageError(
                .system, "\(action): the connection ended too early. Look for the reason on the other side")
        case let error as PeerRefusal:
            StorageError(.system, "\(action): the other side says: \(error.reason)")
        case let error as MalformedStream:
            StorageError(.system, "\(action): what the other side sent makes no sense: \(error)")
        default: StorageError.wrapping(error, doing: action, in: pool)
        }
    }
}
