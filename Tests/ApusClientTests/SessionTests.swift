import ApusAPI
import ApusClient
import NIOCore
import NIOHTTP1
import NIOWebSocket
import Synchronization
import Testing

/// Exec sessions against a server that plays the daemon's part.
struct SessionTests {
    private static let fds = #""0":"s0","1":"s1","2":"s2","control":"sc""#

    /// What a session gave, collected.
    private final class Collected: Sendable {
        let output = Mutex(ByteBuffer())
        let errors = Mutex(ByteBuffer())
        let input: Mutex<[ByteBuffer]>

        init(input: [String] = []) { self.input = Mutex(input.map { ByteBuffer(string: $0) }) }

        func streams(
            control: @escaping @Sendable () -> AsyncStream<ExecControl> = { AsyncStream { $0.finish() } }
        ) -> SessionStreams {
            SessionStreams(
                input: { self.input.withLock { $0.isEmpty ? nil : $0.removeFirst() } },
                output: { bytes in self.output.withLock { _ = $0.writeImmutableBuffer(bytes) } },
                errors: { bytes in self.errors.withLock { _ = $0.writeImmutableBuffer(bytes) } },
                control: control)
        }

        var outputText: String { output.withLock { String(buffer: $0) } }
        var errorText: String { errors.withLock { String(buffer: $0) } }
    }

    private static func operation(_ rest: String) -> String { #"{"id":"op1","class":"websocket",\#(rest)}"# }

    @Test func plainCommandHasThreeStreamsAndACode() async throws {
        let inputDone = AsyncStream.makeStream(of: Void.self)
        let server = TestServer(
            answer: { seen in
                switch (seen.method, seen.path) {
                case (.POST, "/1.0/instances/c1/exec"):
                    #expect(seen.text.contains(#""command":["cat","-"]"#))
                    #expect(seen.text.contains(#""wait-for-websocket":true"#))
                    return .operation(
                        Self.operation(#""status_code":103,"metadata":{"fds":{\#(Self.fds)}}"#))
                case (.GET, "/1.0/operations/op1/wait"):
                    for await _ in inputDone.stream { break }
                    return .sync(Self.operation(#""status_code":200,"metadata":{"return":3}"#))
                default: return .error(404, "not found")
                }
            },
            socket: { uri, frames, writer in
                switch uri {
                case let uri where uri.hasSuffix("secret=s0"):
                    var all = ""
                    for try await frame in frames {
                        if frame.opcode == .binary { all += String(buffer: frame.unmaskedData) }
                        guard frame.opcode == .text, frame.length == 0 else { continue }
                        #expect(all == "one two")
                        inputDone.continuation.finish()
                    }
                case let uri where uri.hasSuffix("secret=s1"):
                    try await writer.bytes("out")
                    try await writer.text("")
                    for try await _ in frames {}
                case let uri where uri.hasSuffix("secret=s2"):
                    try await writer.bytes("err")
                    try await writer.write(
                        WebSocketFrame(fin: true, opcode: .connectionClose, data: ByteBuffer()))
                default:
                    for try await _ in frames {}
                }
            })
        try await server.run { path in
            let collected = Collected(input: ["one ", "two"])
            let code = try await Client(.unixSocket(path: path)).exec(
                ExecPost(command: ["cat", "-"]), in: "c1", streams: collected.streams())
            #expect(code == 3)
            #expect(collected.outputText == "out")
            #expect(collected.errorText == "err")
        }
    }

    @Test func terminalHasOneStreamAndControl() async throws {
        let server = TestServer(
            answer: { seen in
                if seen.method == .POST {
                    return .operation(
                        Self.operation(#""status_code":103,"metadata":{"fds":{"0":"s0","control":"sc"}}"#))
                }
                return .sync(Self.operation(#""status_code":200,"metadata":{"return":130}"#))
            },
            socket: { uri, frames, writer in
                for try await frame in frames {
                    if uri.hasSuffix("sc"), frame.opcode == .text {
                        #expect(String(buffer: frame.unmaskedData).contains("window-resize"))
                    }
                    if uri.hasSuffix("s0"), frame.opcode == .binary {
                        try await writer.bytes(frame.unmaskedData)
                        try await writer.text("")
                    }
                }
            })
        try await server.run { path in
            var post = ExecPost(command: ["sh"])
            post.interactive = true
            let collected = Collected(input: ["typed"])
            let code = try await Client(.unixSocket(path: path)).exec(
                post, in: "c1",
                streams: collected.streams {
                    AsyncStream { $0.yield(.resize(width: 100, height: 30)) }
                })
            #expect(code == 130)
            #expect(collected.outputText == "typed")
        }
    }

    @Test func failureOfTheOperationIsTold() async throws {
        let server = TestServer(answer: { seen in
            if seen.method == .POST {
                return .operation(Self.operation(#""status_code":103,"metadata":{"fds":{\#(Self.fds)}}"#))
            }
            if seen.uri.hasSuffix("wait") {
                return .sync(Self.operation(#""status_code":400,"err":"the container was stopped""#))
            }
            return .error(404, "no such secret")
        })
        try await server.run { path in
            await #expect(throws: ClientError(.operationFailed, "the container was stopped")) {
                try await Client(.unixSocket(path: path)).exec(
                    ExecPost(command: ["true"]), in: "c1", streams: Collected().streams())
            }
        }
    }

    @Test func nothingIsLostWhenTheDaemonIsQuick() async throws {
        // The first frames often come in one piece with the answer that opens the websocket.
        let server = TestServer(
            answer: { seen in
                if seen.method == .POST {
                    return .operation(Self.operation(#""status_code":103,"metadata":{"fds":{\#(Self.fds)}}"#))
                }
                return .sync(Self.operation(#""status_code":200,"metadata":{"return":0}"#))
            },
            socket: { uri, _, writer in
                guard uri.hasSuffix("s1") || uri.hasSuffix("s2") else { return }
                try await writer.write(
                    contentsOf: [
                        WebSocketFrame(fin: true, opcode: .binary, data: ByteBuffer(string: "hi")),
                        WebSocketFrame(fin: true, opcode: .text, data: ByteBuffer()),
                    ])
            })
        try await server.run { path in
            for _ in 0..<50 {
                let collected = Collected()
                let code = try await Client(.unixSocket(path: path)).exec(
                    ExecPost(command: ["echo", "hi"]), in: "c1", streams: collected.streams())
                #expect(code == 0)
                #expect(collected.outputText == "hi")
                #expect(collected.errorText == "hi")
            }
        }
    }
}
