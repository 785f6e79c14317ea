import Dispatch
import Glibc
import Synchronization

extension FileDescriptor {
    /// Waits until there is something to read or the other end has gone; no thread is blocked.
    /// Throws `CancellationError` if the task is cancelled.
    public func readable() async throws { try await ready(write: false) }

    /// Waits until it can be written to; no thread is blocked.
    public func writable() async throws { try await ready(write: true) }

    private func ready(write: Bool) async throws {
        let wait = ReadinessWait()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                wait.begin(rawValue, write: write, keep: self, continuation)
            }
        } onCancel: {
            wait.cancel()
        }
    }
}

/// One wait for one descriptor: resumed once, by the event or by cancellation.
private final class ReadinessWait: Sendable {
    private struct State {
        var continuation: CheckedContinuation<Void, any Error>?
        var source: Source?
        var cancelled = false
    }
    /// Dispatch sources may be used from any thread, though they are not declared so.
    private struct Source: @unchecked Sendable {
        let source: any DispatchSourceProtocol
    }
    private let state = Mutex(State())
    private static let queue = DispatchQueue(label: "apus.readiness")

    func begin(
        _ number: Int32, write: Bool, keep: FileDescriptor,
        _ continuation: CheckedContinuation<Void, any Error>
    ) {
        guard number >= 0 else {
            continuation.resume(
                throwing: SystemError(call: "poll", errno: EBADF, context: "wait for a closed file"))
            return
        }
        // A copy of the number: closing the original while dispatch polls it would be undefined.
        let copy = fcntl(number, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else {
            continuation.resume(throwing: SystemError("fcntl", "wait for a file descriptor"))
            return
        }
        let source: any DispatchSourceProtocol =
            write
            ? DispatchSource.makeWriteSource(fileDescriptor: copy, queue: Self.queue)
            : DispatchSource.makeReadSource(fileDescriptor: copy, queue: Self.queue)
        let boxed = Source(source: source)
        source.setEventHandler { self.finish(nil) }
        source.setCancelHandler { close(copy) }
        let cancelled = state.withLock { state in
            state.continuation = continuation
            state.source = boxed
            return state.cancelled
        }
        source.activate()
        if cancelled { finish(CancellationError()) }
    }

    func cancel() {
        let started = state.withLock { state in
            state.cancelled = true
            return state.continuation != nil
        }
        if started { finish(CancellationError()) }
    }

    private func finish(_ error: (any Error)?) {
        let (continuation, source) = state.withLock { state in
            defer {
                state.continuation = nil
                state.source = nil
            }
            return (state.continuation, state.source)
        }
        source?.source.cancel()
        if let error { continuation?.resume(throwing: error) } else { continuation?.resume() }
    }
}

extension FileDescriptor {
    /// Waits for an exceptional condition (POLLPRI), as kernel files announce their changes, but no longer
    /// than the given time.
    public func exceptional(milliseconds: Int32) async throws {
        let copy = try duplicate()
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            DispatchQueue.global().async {
                var entry = pollfd(fd: copy.rawValue, events: Int16(POLLPRI), revents: 0)
                _ = poll(&entry, 1, milliseconds)
                continuation.resume()
            }
        }
    }
}

extension ProcessDescriptor {
    /// Waits until the process has ended (no child of ours, or one that somebody else waits for), at most the
    /// given time. False if it still runs.
    public func waitForEnd(milliseconds: Int) async throws -> Bool {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await descriptor.readable()
                return true
            }
            group.addTask {
                try await Task.sleep(for: .milliseconds(milliseconds))
                return false
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
    }
}
