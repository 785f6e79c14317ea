import ApusServer
import NIOCore
import NIOWebSocket
import Testing

@Suite("Websocket frames")
struct FrameTests {
    private func frame(
        _ opcode: WebSocketOpcode, _ text: String = "", fin: Bool = true, rsv1: Bool = false
    ) -> WebSocketFrame {
        WebSocketFrame(fin: fin, rsv1: rsv1, opcode: opcode, data: ByteBuffer(string: text))
    }

    private func take(_ frames: [WebSocketFrame], maxText: Int = 1 << 16) -> [FrameAssembler.Action] {
        var assembler = FrameAssembler(maxText: maxText)
        return frames.map { assembler.take($0) }
    }

    @Test("A whole message of each kind")
    func whole() {
        #expect(take([frame(.binary, "abc")]) == [.data(ByteBuffer(string: "abc"), isLast: true)])
        #expect(take([frame(.text, "abc")]) == [.text("abc")])
        #expect(take([frame(.text)]) == [.text("")])
        #expect(take([frame(.binary)]) == [.none])
    }

    @Test("Bytes are handed on as they come, texts when they are whole")
    func fragments() {
        #expect(
            take([
                frame(.binary, "a", fin: false), frame(.continuation, "b", fin: false),
                frame(.continuation, "c"),
            ])
                == ["a", "b", "c"].map { .data(ByteBuffer(string: $0), isLast: $0 == "c") })
        #expect(
            take([frame(.binary, "a", fin: false), frame(.continuation)])
                == [.data(ByteBuffer(string: "a"), isLast: false), .data(ByteBuffer(), isLast: true)])
        #expect(
            take([
                frame(.text, "a", fin: false), frame(.continuation, "b", fin: false),
                frame(.continuation, "c"),
            ])
                == [.none, .none, .text("abc")])
    }

    @Test("A ping between fragments is answered at once")
    func ping() {
        #expect(
            take([frame(.text, "a", fin: false), frame(.ping, "x"), frame(.pong), frame(.continuation, "b")])
                == [.none, .pong(ByteBuffer(string: "x")), .none, .text("ab")])
    }

    @Test("Goodbyes, with and without a code")
    func close() {
        #expect(take([frame(.connectionClose)]) == [.close(nil)])
        #expect(take([frame(.connectionClose, "\u{3}\u{68}bye")]) == [.close(0x0368)])
    }

    @Test("What breaks the protocol is refused")
    func broken() {
        func fails(_ frames: [WebSocketFrame], _ code: UInt16, maxText: Int = 1 << 16) {
            guard case .fail(let found, _)? = take(frames, maxText: maxText).last else {
                Issue.record("accepted: \(frames)")
                return
            }
            #expect(found == code)
        }
        fails([frame(.binary, "a", rsv1: true)], 1002)
        fails([frame(.continuation, "a")], 1002)
        fails([frame(.binary, "a", fin: false), frame(.binary, "b")], 1002)
        fails([frame(.text, "a", fin: false), frame(.text, "b")], 1002)
        fails([frame(.ping, "a", fin: false)], 1002)
        fails([frame(.ping, String(repeating: "a", count: 126))], 1002)
        fails([frame(.connectionClose, "a")], 1002)
        fails([frame(.text, "abcde")], 1009, maxText: 4)
        fails([frame(.text, "abc", fin: false), frame(.continuation, "de", fin: false)], 1009, maxText: 4)
        let invalid = ByteBuffer(bytes: [0xFF, 0xFE])
        fails([WebSocketFrame(fin: true, opcode: .text, data: invalid)], 1007)
    }
}

@Suite("Request targets")
struct TargetTests {
    @Test("Path and query are decoded")
    func parse() {
        let (path, query) = Router.parse("/1.0/instances/c1/files?path=%2Froot%2Fa+b&x&y=1=2")
        #expect(path == ["1.0", "instances", "c1", "files"])
        #expect(query == ["path": "/root/a b", "x": "", "y": "1=2"])
        #expect(
            Router.parse("/1.0/images/aliases/debian%2F12").path == ["1.0", "images", "aliases", "debian/12"])
        #expect(Router.parse("/a%zz").path == nil)
        #expect(Router.parse("/").path == [])
    }
}
