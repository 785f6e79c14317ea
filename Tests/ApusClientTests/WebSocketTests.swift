import ApusAPI
import ApusClient
import NIOCore
import NIOHTTP1
import NIOWebSocket
import Testing

/// Websockets against a real server on a unix socket.
struct WebSocketTests {
    @Test func framesAreMaskedAndPingsAnswered() async throws {
        let server = TestServer(socket: { uri, frames, writer in
            #expect(uri == "/1.0/x?secret=a%2Fb")
            try await writer.write(
                WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer(string: "keepalive")))
            var opcodes: [WebSocketOpcode] = []
            for try await frame in frames {
                #expect(frame.maskKey != nil)
                opcodes.append(frame.opcode)
                if frame.opcode == .binary { try await writer.bytes(frame.unmaskedData) }
                if frame.opcode == .text { try await writer.text("") }
                if frame.opcode == .connectionClose { break }
            }
            #expect(opcodes.contains(.pong))
            #expect(opcodes.last == .connectionClose)
        })
        try await server.run { path in
            let payload = ByteBuffer(repeating: 0xA5, count: 300_000)
            try await Client(.unixSocket(path: path)).webSocket("/1.0/x", query: [("secret", "a/b")]) {
                socket in
                try await socket.send(payload)
                try await socket.sendEndOfStream()
                var got = ByteBuffer()
                for try await message in socket.messages {
                    if case .bytes(var bytes) = message { got.writeBuffer(&bytes) }
                    if case .endOfStream = message { break }
                }
                #expect(got == payload)
            }
        }
    }

    @Test func refusalsOfTheUpgradeCarryTheDaemonsWords() async throws {
        let server = TestServer(answer: { _ in .error(403, "not authorized") })
        try await server.run { path in
            await #expect(throws: ClientError(.refused(status: 403), "not authorized")) {
                try await Client(.unixSocket(path: path)).webSocket("/1.0/x", query: [("secret", "wrong")]) {
                    _ in
                }
            }
        }
    }

    @Test func aConnectionThatEndsWithoutGoodbyeIsAnError() async throws {
        let server = TestServer(socket: { _, _, writer in try await writer.bytes("half") })
        try await server.run { path in
            await #expect(throws: ClientError.self) {
                try await Client(.unixSocket(path: path)).webSocket("/1.0/x") { socket in
                    for try await _ in socket.messages {}
                }
            }
        }
    }

    @Test func eventsAreDecodedAndNoiseIsSkipped() async throws {
        let server = TestServer(socket: { uri, _, writer in
            #expect(uri == "/1.0/events?type=operation%2Clifecycle")
            try await writer.text("not json")
            try await writer.text(
                #"{"type":"lifecycle","timestamp":"2026-11-23T02:00:00.5Z","metadata":{"action":"instance-created"}}"#
            )
            try await writer.write(WebSocketFrame(fin: true, opcode: .connectionClose, data: ByteBuffer()))
        })
        try await server.run { path in
            try await Client(.unixSocket(path: path)).events(types: ["operation", "lifecycle"]) { events in
                var actions: [String] = []
                for try await event in events { actions.append(event.metadata?["action"]?.stringValue ?? "") }
                #expect(actions == ["instance-created"])
            }
        }
    }
}
