public import ApusAPI
import Foundation

/// What happens in a daemon, as it happens.
public struct Events: AsyncSequence, Sendable {
    fileprivate let messages: WebSocketMessages

    /// Begins to read.
    public func makeAsyncIterator() -> Iterator { Iterator(messages: messages.makeAsyncIterator()) }

    /// Reads events one after another.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate var messages: WebSocketMessages.Iterator

        /// The next event; nil once the daemon has gone.
        public mutating func next() async throws -> Event? {
            while let message = try await messages.next() {
                guard case .text(let text) = message else { continue }
                if let event = try? APIJSON.decode(Event.self, from: Data(text.utf8)) { return event }
            }
            return nil
        }
    }
}

extension Client {
    /// Listens to events of these types (all if empty) for as long as `body` runs.
    public func events<Output: Sendable>(
        types: [String] = [], body: @escaping @Sendable (Events) async throws -> Output
    ) async throws -> Output {
        let query = types.isEmpty ? [] : [(name: "type", value: types.joined(separator: ","))]
        return try await webSocket("/1.0/events", query: query) { socket in
            try await body(Events(messages: socket.messages))
        }
    }
}
