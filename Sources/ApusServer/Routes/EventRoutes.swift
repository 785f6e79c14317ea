import ApusCore
import HTTPTypes
import HummingbirdCore
import NIOCore

/// Events, as a websocket.
struct EventRoutes {
    let daemon: Daemon

    var routes: [Route] {
        [
            Route(
                .get, "/1.0/events", "Events as they happen, over a websocket",
                webSocket: { target, _ throws(ServiceError) in try webSocket(types: target.query["type"]) }
            ) { _ in
                throw ServiceError.badRequest(
                    "This is a websocket; connect with an upgrade request and a type of operation, lifecycle or logging"
                )
            }
        ]
    }

    /// What a request for events leads to. Without a type, operations and logging come, as in LXD, and lifecycle.
    private func webSocket(types: String?) throws(ServiceError) -> WebSocketHandler {
        let names = (types ?? "").split(separator: ",").map(String.init)
        let kinds = names.compactMap { EventHub.Kind(rawValue: $0) }
        guard kinds.count == names.count else {
            throw .badRequest("Unknown type of events; use operation, lifecycle or logging")
        }
        let wanted = kinds.isEmpty ? Set(EventHub.Kind.allCases) : Set(kinds)
        // Listening begins before the client hears of the upgrade: what it starts next it will hear of.
        let events = daemon.events.listen(wanted)
        return { connection in
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    for await event in events {
                        do { try await connection.sendText(ByteBuffer(bytes: event)) } catch { return }
                    }
                }
                group.addTask { while (try? await connection.receive()) != nil {} }
                await group.next()
                group.cancelAll()
            }
        }
    }
}
