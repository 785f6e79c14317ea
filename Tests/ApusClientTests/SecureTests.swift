import ApusAPI
import ApusClient
import Certificates
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket
import Synchronization
import Testing

/// A number that tasks share.
private final class Counter: Sendable {
    let count = Mutex(0)
}

/// The client over TLS, against a real server with a certificate of its own.
struct SecureTests {
    private static let server = Result { try Identity.make(.server, names: ["127.0.0.1"]) }
    private static let client = Result { try Identity.make(.client, commonName: "tester") }

    private func client(_ port: Int, pinned: TLSCertificate? = nil) throws -> Client {
        Client(
            .https(
                SecureAddress(
                    host: "127.0.0.1", port: port, pinned: try pinned ?? Self.server.get().certificate,
                    identity: try Self.client.get())))
    }

    @Test func requestsShowWhoWeAre() async throws {
        let clients = TestServer.Clients()
        let identity = try Self.client.get()
        let server = TestServer(answer: { seen in
            #expect(seen.uri == "/1.0/instances/c1")
            #expect(seen.headers.first(name: "Host")?.hasPrefix("127.0.0.1:") == true)
            return .sync(#"{"name":"c1"}"#)
        })
        try await server.runSecure(try Self.server.get(), clients: clients) { port in
            let found = try await client(port).instance("c1")
            #expect(found.name == "c1")
        }
        #expect(clients.certificates.withLock { $0 } == [identity.certificate])
    }

    @Test func anotherCertificateIsRefusedBeforeAnythingIsSent() async throws {
        let requests = Mutex(0)
        let server = TestServer(answer: { _ in
            requests.withLock { $0 += 1 }
            return .sync("{}")
        })
        let shown = try Self.server.get().certificate
        let expected = try Identity.make(.server).certificate
        try await server.runSecure(try Self.server.get()) { port in
            let error = await #expect(throws: ClientError.self) {
                try await client(port, pinned: expected).server()
            }
            #expect(error?.code == .notRecognised)
            #expect(error?.message.contains(shown.fingerprint) == true)
            #expect(error?.message.contains(expected.fingerprint) == true)
            // Nothing pinned: no authority vouches for it.
            let unknown = await #expect(throws: ClientError.self) {
                try await Client(.https(SecureAddress(host: "127.0.0.1", port: port))).server()
            }
            #expect(unknown?.code == .notRecognised)
        }
        #expect(requests.withLock { $0 } == 0)
    }

    @Test func certificatesCanBeLookedAt() async throws {
        let identity = try Self.server.get()
        let clients = TestServer.Clients()
        try await TestServer().runSecure(identity, clients: clients) { port in
            let shown = try await SecureAddress(
                host: "localhost", port: port, identity: try Self.client.get()
            )
            .shownCertificate()
            #expect(shown == identity.certificate)
        }
        #expect(clients.certificates.withLock { $0.isEmpty })
    }

    @Test func largeBodiesStreamBothWays() async throws {
        let piece = ByteBuffer(repeating: 7, count: 100_000)
        let server = TestServer(answer: { seen in
            seen.method == .GET
                ? Answer(body: ByteBuffer(repeating: 9, count: 5_000_000))
                : .sync("\(seen.body.readableBytes)")
        })
        try await server.runSecure(try Self.server.get()) { port in
            let client = try client(port)
            let left = Mutex(50)
            let reply = try await client.perform(
                Request(
                    .POST, "/1.0/x",
                    body: .stream {
                        left.withLock { left in
                            left -= 1
                            return left >= 0 ? piece : nil
                        }
                    }))
            #expect(String(buffer: reply.body).contains("5000000"))
            let count = try await client.stream(Request(.GET, "/1.0/x")) { _, body in
                var count = 0
                while let bytes = try await body.next() { count += bytes.readableBytes }
                return count
            }
            #expect(count == 5_000_000)
        }
    }

    @Test func websocketsCarryBothWays() async throws {
        let server = TestServer(socket: { _, frames, writer in
            for try await frame in frames {
                if frame.opcode == .connectionClose { break }
                if frame.opcode == .text, frame.length == 0 { try await writer.text("") }
                if frame.opcode == .binary || frame.opcode == .continuation {
                    try await writer.bytes(frame.unmaskedData)
                }
            }
        })
        try await server.runSecure(try Self.server.get()) { port in
            // More than one frame may have, and no multiple of anything.
            let payload = ByteBuffer(
                bytes: (0..<2_500_007).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) })
            try await client(port).webSocket("/1.0/x") { socket in
                async let sent: Void = {
                    try await socket.send(payload)
                    try await socket.sendEndOfStream()
                }()
                var got = ByteBuffer()
                for try await message in socket.messages {
                    if case .bytes(var bytes) = message { got.writeBuffer(&bytes) }
                    if case .endOfStream = message { break }
                }
                try await sent
                #expect(got == payload)
            }
        }
    }

    @Test func wholeMessagesAndTheirLimit() async throws {
        let server = TestServer(socket: { _, frames, writer in
            for part in [("one", false), ("two", true)] {
                try await writer.write(
                    WebSocketFrame(
                        fin: part.1, opcode: part.0 == "one" ? .binary : .continuation,
                        data: ByteBuffer(string: part.0)))
            }
            try await writer.bytes(ByteBuffer())
            try await writer.text("")
            try await writer.bytes(ByteBuffer(repeating: 1, count: 200_000))
            for try await _ in frames {}
        })
        try await server.runSecure(try Self.server.get()) { port in
            try await client(port).webSocket("/1.0/x") { socket in
                var messages = socket.messages.makeAsyncIterator()
                for expected: WebSocketMessage in [
                    .bytes(ByteBuffer(string: "onetwo")), .bytes(ByteBuffer()), .endOfStream,
                ] {
                    let message = try await messages.nextWhole(limit: 100)
                    #expect(message == expected)
                }
                let error = await #expect(throws: ClientError.self) {
                    try await messages.nextWhole(limit: 100_000)
                }
                #expect(error?.message.contains("100000 bytes") == true)
            }
        }
    }

    @Test func sendersWaitForSlowReaders() async throws {
        let mayRead = AsyncStream.makeStream(of: Void.self)
        let server = TestServer(socket: { _, frames, _ in
            for await _ in mayRead.stream { break }
            for try await frame in frames where frame.opcode == .connectionClose { break }
        })
        try await server.runSecure(try Self.server.get()) { port in
            try await client(port).webSocket("/1.0/x") { socket in
                let sent = Counter()
                let piece = ByteBuffer(repeating: 3, count: 1 << 20)
                let total = 64
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    tasks.addTask {
                        for _ in 0..<total {
                            try await socket.send(piece)
                            sent.count.withLock { $0 += 1 }
                        }
                    }
                    // It stands still once the buffers of both ends and of the kernel are full.
                    var before = -1
                    while sent.count.withLock({ $0 }) != before {
                        before = sent.count.withLock { $0 }
                        try await Task.sleep(for: .milliseconds(200))
                    }
                    #expect(before < total)
                    mayRead.continuation.finish()
                    try await tasks.waitForAll()
                }
                #expect(sent.count.withLock { $0 } == total)
            }
        }
    }

    @Test func nobodyThereAndNotTLS() async throws {
        let port = try await TestServer.freePort()
        let refused = await #expect(throws: ClientError.self) { try await client(port).server() }
        #expect(refused?.code == .unreachable)
        #expect(refused?.message.contains("core.https_address") == true)
        let nowhere = SecureAddress(host: "nowhere.invalid", port: 8443)
        let unknown = await #expect(throws: ClientError.self) { try await Client(.https(nowhere)).server() }
        #expect(unknown?.code == .unreachable)
    }

    @Test func cancellingClosesAConnectionThatHangs() async throws {
        // A listener that never answers the hello.
        try await TestServer.silent { port in
            let task = Task { try await client(port).server() }
            try await Task.sleep(for: .milliseconds(100))
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            let transport = Transport(
                endpoint: try client(port).endpoint, group: NIOSingletons.posixEventLoopGroup,
                connectLimit: .milliseconds(200))
            let late = await #expect(throws: ClientError.self) {
                try await transport.exchange(Request(.GET, "/"))
            }
            #expect(late?.message.contains("no answer") == true)
        }
    }

    @Test(arguments: [
        ("https://10.0.0.1:8443", "10.0.0.1", 8443), ("https://host2", "host2", 8443),
        ("host2:99", "host2", 99),
        ("https://[fe80::1]:1", "fe80::1", 1), ("[::1]", "::1", 8443), ("::1", "::1", 8443),
        ("https://a.b/1.0?x", "a.b", 8443),
    ])
    func addresses(text: String, host: String, port: Int) throws {
        let address = try SecureAddress(url: text)
        #expect(address.host == host)
        #expect(address.port == port)
        #expect(try SecureAddress(url: address.url) == address)
    }

    @Test(arguments: ["", "http://a", "https://", "a:0", "a:65536", "a:x", "[::1", "user@host", "a b"])
    func noAddresses(text: String) {
        let error = #expect(throws: ClientError.self) { try SecureAddress(url: text) }
        #expect(error?.code == .invalidAddress)
    }
}
