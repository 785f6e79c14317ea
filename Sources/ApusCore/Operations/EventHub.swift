public import ApusAPI
public import Foundation
import Synchronization

/// Hands events to everyone who listens. A listener that does not keep up is dropped, others do not notice.
public final class EventHub: Sendable {
    /// The kinds of events.
    public enum Kind: String, Sendable, CaseIterable {
        /// An operation changed.
        case operation
        /// Something was created, started, deleted…
        case lifecycle
        /// A line of the daemon's log.
        case logging
    }

    /// How many events a listener may lag behind.
    public static let backlog = 2048

    private struct Listener {
        let kinds: Set<Kind>
        let continuation: AsyncStream<Data>.Continuation
    }

    private struct State {
        var listeners: [Int: Listener] = [:]
        var next = 0
    }

    private let state = Mutex(State())

    /// A hub without listeners.
    public init() {}

    /// The events of some kinds from now on, as JSON.
    public func listen(_ kinds: Set<Kind>) -> AsyncStream<Data> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Data.self, bufferingPolicy: .bufferingOldest(EventHub.backlog))
        let id = state.withLock { state in
            state.next += 1
            state.listeners[state.next] = Listener(kinds: kinds, continuation: continuation)
            return state.next
        }
        continuation.onTermination = { [weak self] _ in self?.remove(id) }
        return stream
    }

    /// Whether anyone listens to a kind.
    public func hasListeners(_ kind: Kind) -> Bool {
        state.withLock { $0.listeners.values.contains { $0.kinds.contains(kind) } }
    }

    /// Sends an event. Nothing is encoded if nobody listens.
    public func publish(_ kind: Kind, _ metadata: @autoclosure () -> some Encodable) {
        guard hasListeners(kind),
            let json = try? APIJSON.encode(OutgoingEvent(type: kind.rawValue, metadata: metadata()))
        else { return }
        let slow = state.withLock { state in
            state.listeners.filter { _, listener in
                guard listener.kinds.contains(kind) else { return false }
                if case .enqueued = listener.continuation.yield(json) { return false }
                return true
            }
        }
        for listener in slow.values { listener.continuation.finish() }
    }

    /// Tells of a change in something's life, such as "instance-started".
    public func lifecycle(_ action: String, _ source: String, context: JSONValue? = nil) {
        publish(.lifecycle, EventLifecycle(action: action, source: source, context: context))
    }

    /// Ends all listeners.
    public func close() {
        let listeners = state.withLock { state in
            defer { state.listeners.removeAll() }
            return state.listeners
        }
        for listener in listeners.values { listener.continuation.finish() }
    }

    private func remove(_ id: Int) {
        state.withLock { _ = $0.listeners.removeValue(forKey: id) }
    }
}

private struct OutgoingEvent<Metadata: Encodable>: Encodable {
    let type: String
    let timestamp = Timestamp.now()
    let metadata: Metadata
    let location = "none"
    let project = "default"
}
