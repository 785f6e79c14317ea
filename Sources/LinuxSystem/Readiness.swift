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
                wait.begin(rawValue, write: write, continuation)
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
        var id: UInt64?
        var hasEnded = false
    }
    private let state = Mutex(State())

    func begin(_ number: Int32, write: Bool, _ continuation: CheckedContinuation<Void, any Error>) {
        guard number >= 0 else {
            continuation.resume(
                throwing: SystemError(call: "poll", errno: EBADF, context: "wait for a closed file"))
            return
        }
        let wasCancelled = state.withLock { state in
            if !state.hasEnded { state.continuation = continuation }
            return state.hasEnded
        }
        guard !wasCancelled else { return continuation.resume(throwing: CancellationError()) }
        // A copy: the original may be closed, and its number be another's, while the wait goes on.
        let copy = fcntl(number, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else {
            return finish(SystemError("fcntl", "wait for a file descriptor"))
        }
        guard let poller = Poller.shared, let id = poller.add(copy, write: write, { self.finish(nil) }) else {
            return finish(SystemError("epoll_ctl", "wait for a file descriptor"))
        }
        let hasEnded = state.withLock { state in
            state.id = id
            return state.hasEnded
        }
        if hasEnded { poller.cancel(id) }
    }

    func cancel() { finish(CancellationError()) }

    private func finish(_ error: (any Error)?) {
        let (continuation, id) = state.withLock { state in
            defer {
                state.hasEnded = true
                state.continuation = nil
            }
            return (state.continuation, state.id)
        }
        if error != nil, let id { Poller.shared?.cancel(id) }
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
