import Synchronization

/// Hands messages from the one task that reads a websocket to whoever wants them, a few at a time.
package final class Mailbox: Sendable {
    private static let capacity = 8

    private struct State {
        var messages: [ClientMessage] = []
        var receivers: [Int: CheckedContinuation<ClientMessage?, Never>] = [:]
        var next = 0
        var writer: CheckedContinuation<Void, Never>?
        var finished = false
        var discards = false
    }
    private let state = Mutex(State())

    /// An empty one.
    package init() {}

    /// Adds a message; waits while too many lie unread. For one task at a time.
    package func put(_ message: ClientMessage) async {
        await withCheckedContinuation { continuation in
            let (receiver, goOn) = state.withLock {
                state -> (CheckedContinuation<ClientMessage?, Never>?, Bool) in
                if state.discards { return (nil, true) }
                if let first = state.receivers.keys.min() {
                    return (state.receivers.removeValue(forKey: first), true)
                }
                state.messages.append(message)
                guard state.messages.count >= Self.capacity else { return (nil, true) }
                state.writer = continuation
                return (nil, false)
            }
            receiver?.resume(returning: message)
            if goOn { continuation.resume() }
        }
    }

    /// The next message; nil when there will be none, or the task is cancelled.
    package func take() async -> ClientMessage? {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (message, ready, writer) = state.withLock {
                    state -> (ClientMessage?, Bool, CheckedContinuation<Void, Never>?) in
                    if !state.messages.isEmpty {
                        let writer = state.writer
                        state.writer = nil
                        return (state.messages.removeFirst(), true, writer)
                    }
                    if state.finished || state.discards || Task.isCancelled { return (nil, true, nil) }
                    state.receivers[id] = continuation
                    return (nil, false, nil)
                }
                writer?.resume()
                if ready { continuation.resume(returning: message) }
            }
        } onCancel: {
            let receiver = state.withLock { $0.receivers.removeValue(forKey: id) }
            receiver?.resume(returning: nil)
        }
    }

    /// There will be no more messages.
    package func finish() { end { $0.finished = true } }

    /// Nobody wants messages any more.
    package func discard() {
        end { state in
            state.discards = true
            state.messages = []
        }
    }

    private func end(_ change: (inout sending State) -> Void) {
        let (receivers, writer) = state.withLock { state in
            change(&state)
            defer {
                state.receivers = [:]
                state.writer = nil
            }
            return (Array(state.receivers.values), state.writer)
        }
        for receiver in receivers { receiver.resume(returning: nil) }
        writer?.resume()
    }
}
