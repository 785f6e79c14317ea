import ApusClient
import NIOCore
import NIOWebSocket
import Testing

/// The rules of websocket messages, as tables of frames.
struct WebSocketAssemblerTests {
    private func frame(_ opcode: WebSocketOpcode, _ text: String, fin: Bool = true) -> WebSocketFrame {
        WebSocketFrame(fin: fin, opcode: opcode, data: ByteBuffer(string: text))
    }

    @Test func wholeMessages() throws {
        var assembler = WebSocketAssembler(peer: .local)
        #expect(try assembler.receive(frame(.text, "hello")) == .deliver(.text("hello")))
        #expect(try assembler.receive(frame(.binary, "x")) == .deliver(.bytes(ByteBuffer(string: "x"))))
        #expect(try assembler.receive(frame(.text, "")) == .deliver(.endOfStream))
        #expect(try assembler.receive(frame(.binary, "")) == .nothing)
    }

    @Test func fragmentsWithPingsBetween() throws {
        var assembler = WebSocketAssembler(peer: .local)
        #expect(try assembler.receive(frame(.text, "he", fin: false)) == .nothing)
        #expect(try assembler.receive(frame(.ping, "keepalive")) == .pong(ByteBuffer(string: "keepalive")))
        #expect(try assembler.receive(frame(.continuation, "ll", fin: false)) == .nothing)
        #expect(try assembler.receive(frame(.continuation, "o")) == .deliver(.text("hello")))
        #expect(
            try assembler.receive(frame(.binary, "a", fin: false))
                == .deliver(.bytes(ByteBuffer(string: "a"))))
        #expect(try assembler.receive(frame(.continuation, "b")) == .deliver(.bytes(ByteBuffer(string: "b"))))
        #expect(try assembler.receive(frame(.pong, "")) == .nothing)
        #expect(try assembler.receive(frame(.connectionClose, "")) == .close)
    }

    @Test func brokenSequences() {
        #expect(throws: ClientError.self) {
            var assembler = WebSocketAssembler(peer: .local)
            _ = try assembler.receive(frame(.continuation, "x"))
        }
        #expect(throws: ClientError.self) {
            var assembler = WebSocketAssembler(peer: .local)
            _ = try assembler.receive(frame(.text, "x", fin: false))
            _ = try assembler.receive(frame(.text, "y"))
        }
        #expect(throws: ClientError.self) {
            var assembler = WebSocketAssembler(peer: .local)
            _ = try assembler.receive(frame(.binary, "x", fin: false))
            _ = try assembler.receive(frame(.binary, "y"))
        }
    }
}

/// The handshake's proof, with the example of RFC 6455.
struct WebSocketKeyTests {
    @Test func theExampleOfTheStandard() {
        #expect(WebSocketKey.accept(for: "dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(WebSocketKey.random().count == 24)
        #expect(WebSocketKey.random() != WebSocketKey.random())
    }
}
