import Certificates
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket
import Synchronization

/// A request as the test server got it.
struct Seen: Sendable {
    var method: HTTPMethod
    var uri: String
    var headers: HTTPHeaders
    var body: ByteBuffer

    var text: String { String(buffer: body) }
    var path: String { String(uri.prefix { $0 != "?" }) }
}

/// What the test server answers.
struct Answer: Sendable {
    var status = 200
    var headers: HTTPHeaders = [:]
    var body = ByteBuffer()

    static func json(_ text: String, status: Int = 200) -> Answer {
        Answer(status: status, headers: ["Content-Type": "application/json"], body: ByteBuffer(string: text))
    }

    static func sync(_ metadata: String) -> Answer {
        json(#"{"type":"sync","status":"Success","status_code":200,"metadata":\#(metadata)}"#)
    }

    static func operation(_ metadata: String) -> Answer {
        json(
            #"{"type":"async","status":"Operation created","status_code":100,"metadata":\#(metadata)}"#,
            status: 202)
    }

    static func error(_ status: Int, _ text: String) -> Answer {
        json(#"{"type":"error","error_code":\#(status),"error":"\#(text)"}"#, status: status)
    }
}

/// A small HTTP and websocket server on a unix socket that says what a test wants it to.
struct TestServer: Sendable {
    typealias Frames = NIOAsyncChannelInboundStream<WebSocketFrame>
    typealias Writer = NIOAsyncChannelOutboundWriter<WebSocketFrame>
    typealias Handler = @Sendable (Seen) async -> Answer
    typealias SocketHandler = @Sendable (String, Frames, Writer) async throws -> Void

    /// The certificates that clients showed.
    final class Clients: Sendable {
        let certificates = Mutex<[TLSCertificate]>([])
    }

    private enum Connection: Sendable {
        case http(NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>)
        case webSocket(String, NIOAsyncChannel<WebSocketFrame, WebSocketFrame>)
    }

    var answer: Handler = { _ in .error(404, "not found") }
    var socket: SocketHandler = { _, _, _ in }

    /// Runs `body` with the path of the server's socket.
    func run(_ body: @escaping @Sendable (String) async throws -> Void) async throws {
        let path = NSTemporaryDirectory() + "/apus-test-\(UUID().uuidString.prefix(8)).socket"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(unixDomainSocketPath: path) { channel in Self.prepare(channel) }
        try await serve(listener) { try await body(path) }
    }

    /// Runs `body` with the port of a server that speaks TLS with an identity and takes every client's certificate, as
    /// daemons do; those go into `clients`.
    func runSecure(
        _ identity: Identity, clients: Clients = Clients(),
        _ body: @escaping @Sendable (Int) async throws -> Void
    ) async throws {
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: [
                .certificate(try NIOSSLCertificate(bytes: identity.certificate.der, format: .der))
            ],
            privateKey: .privateKey(
                try NIOSSLPrivateKey(bytes: Array(identity.privateKeyPEM.utf8), format: .pem)))
        tls.minimumTLSVersion = .tlsv13
        tls.certificateVerification = .optionalVerification
        let context = try NIOSSLContext(configuration: tls)
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        NIOSSLServerHandler(
                            context: context,
                            customVerificationCallback: { certificates, verdict in
                                if let der = try? certificates.first?.toDERBytes(),
                                    let certificate = try? TLSCertificate(der: der)
                                {
                                    clients.certificates.withLock { $0.append(certificate) }
                                }
                                verdict.succeed(.certificateVerified)
                            }))
                }.flatMap { Self.prepare(channel) }
            }
        let port = listener.channel.localAddress?.port ?? 0
        try await serve(listener) { try await body(port) }
    }

    private func serve(
        _ listener: NIOAsyncChannel<EventLoopFuture<Connection>, Never>,
        _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                try await listener.executeThenClose { inbound in
                    await withDiscardingTaskGroup { connections in
                        do {
                            for try await connection in inbound {
                                connections.addTask { await serve(connection) }
                            }
                        } catch {}
                    }
                }
            }
            try await body()
            tasks.cancelAll()
        }
    }

    private static func prepare(_ channel: any Channel) -> EventLoopFuture<EventLoopFuture<Connection>> {
        channel.eventLoop.makeCompletedFuture {
            let upgrader = NIOTypedWebSocketServerUpgrader<Connection>(
                maxFrameSize: 1 << 20,
                shouldUpgrade: { channel, head in
                    let refused = head.uri.contains("secret=wrong")
                    return channel.eventLoop.makeSucceededFuture(refused ? nil : HTTPHeaders())
                },
                upgradePipelineHandler: { channel, head in
                    channel.eventLoop.makeCompletedFuture {
                        .webSocket(head.uri, try NIOAsyncChannel(wrappingChannelSynchronously: channel))
                    }
                })
            let configuration = NIOTypedHTTPServerUpgradeConfiguration(upgraders: [upgrader]) { channel in
                channel.eventLoop.makeCompletedFuture {
                    .http(try NIOAsyncChannel(wrappingChannelSynchronously: channel))
                }
            }
            return try channel.pipeline.syncOperations.configureUpgradableHTTPServerPipeline(
                configuration: NIOUpgradableHTTPServerPipelineConfiguration(
                    upgradeConfiguration: configuration))
        }
    }

    private func serve(_ connection: EventLoopFuture<Connection>) async {
        do {
            switch try await connection.get() {
            case .webSocket(let uri, let channel):
                try await channel.executeThenClose { try await socket(uri, $0, $1) }
            case .http(let channel):
                try await channel.executeThenClose { inbound, outbound in
                    var seen = Seen(method: .GET, uri: "", headers: [:], body: ByteBuffer())
                    for try await part in inbound {
                        switch part {
                        case .head(let head):
                            (seen.method, seen.uri, seen.headers) = (head.method, head.uri, head.headers)
                        case .body(var bytes): seen.body.writeBuffer(&bytes)
                        case .end:
                            let answer = await answer(seen)
                            var headers = answer.headers
                            headers.replaceOrAdd(
                                name: "Content-Length", value: String(answer.body.readableBytes))
                            let head = HTTPResponseHead(
                                version: .http1_1, status: HTTPResponseStatus(statusCode: answer.status),
                                headers: headers)
                            try await outbound.write(
                                contentsOf: [.head(head), .body(.byteBuffer(answer.body)), .end(nil)])
                            return
                        }
                    }
                }
            }
        } catch {}
    }
}

extension TestServer.Writer {
    func bytes(_ text: String) async throws {
        try await write(WebSocketFrame(fin: true, opcode: .binary, data: ByteBuffer(string: text)))
    }

    func bytes(_ buffer: ByteBuffer) async throws {
        try await write(WebSocketFrame(fin: true, opcode: .binary, data: buffer))
    }

    func text(_ text: String) async throws {
        try await write(WebSocketFrame(fin: true, opcode: .text, data: ByteBuffer(string: text)))
    }
}

extension TestServer {
    /// A port where nobody listens.
    static func freePort() async throws -> Int {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = channel.localAddress?.port ?? 0
        try await channel.close()
        return port
    }

    /// Runs `body` with the port of a listener that never says anything.
    static func silent(_ body: (Int) async throws -> Void) async throws {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        do {
            try await body(channel.localAddress?.port ?? 0)
        } catch {
            try? await channel.close()
            throw error
        }
        try await channel.close()
    }
}
