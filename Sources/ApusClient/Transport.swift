import Glibc
public import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Opens connections to one daemon; each request and each websocket has its own, as LXD's client does it.
package struct Transport: Sendable {
    typealias HTTPChannel = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    /// How long connecting may take, TLS included.
    package static let connectLimit: TimeAmount = .seconds(15)

    let endpoint: Endpoint
    let group: any EventLoopGroup
    private let way: Way

    /// How a connection is made.
    private enum Way: Sendable {
        case unixSocket(path: String)
        case secure(Result<SecureConnector, ClientError>)
    }

    package init(
        endpoint: Endpoint, group: any EventLoopGroup, connectLimit: TimeAmount = Self.connectLimit
    ) {
        self.endpoint = endpoint
        self.group = group
        switch endpoint {
        case .unixSocket(let path):
            way = .unixSocket(path: path)
        case .https(let address):
            way = .secure(
                Result {
                    SecureConnector(
                        address: address, context: try SecureContext(address), group: group,
                        limit: connectLimit)
                }.mapError { .secure(address, stranger: nil, $0) })
        }
    }

    /// Connects, sets the channel up, and says in plain words why it could not.
    func connect<Output: Sendable>(
        _ initializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Output>
    ) async throws -> Output {
        switch way {
        case .secure(let connector):
            return try await connector.get().connect(initializer)
        case .unixSocket(let path):
            do {
                return try await ClientBootstrap(group: group)
                    .connect(unixDomainSocketPath: path, channelInitializer: initializer)
            } catch let error as IOError {
                throw ClientError.socket(path, errno: error.errnoCode, reason: Self.reason(error.errnoCode))
            } catch is SocketAddressError {
                throw ClientError.socket(
                    path, errno: ENAMETOOLONG, reason: "the path is too long for a socket")
            }
        }
    }

    /// Sends a request and hands the answer's head and body to `consume`, body as it arrives.
    package func exchange<Output: Sendable>(
        _ request: Request, consume: @escaping @Sendable (ReplyHead, ReplyBody) async throws -> Output
    ) async throws -> Output {
        let channel: HTTPChannel = try await connect { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHTTPClientHandlers()
                return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
            }
        }
        do {
            return try await channel.executeThenClose { inbound, outbound in
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    tasks.addTask { try await send(request, over: outbound) }
                    var parts = inbound.makeAsyncIterator()
                    // The daemon may refuse before it has read everything: its words count, not the broken pipe.
                    let head = try await ReplyHead(reading: &parts)
                    let result = try await consume(head, ReplyBody(parts: parts))
                    tasks.cancelAll()
                    return result
                }
            }
        } catch let error as any NIOConnectionTrouble {
            throw broken(error)
        }
    }

    /// What a connection that broke means for people.
    func broken(_ error: any Error) -> ClientError {
        ClientError(.broken, "the connection to \(endpoint) broke: \(error)")
    }

    /// Sends a request and collects the whole answer.
    package func exchange(_ request: Request) async throws -> Reply {
        try await exchange(request) { head, body in
            Reply(status: head.status, headers: head.headers, body: try await body.collect())
        }
    }

    private var host: String {
        switch endpoint {
        case .unixSocket: "apus"
        case .https(let address): String(address.url.dropFirst("https://".count))
        }
    }

    func head(for request: Request) -> HTTPRequestHead {
        var headers = request.headers
        headers.replaceOrAdd(name: "Host", value: host)
        headers.replaceOrAdd(name: "User-Agent", value: "apus")
        switch request.body {
        case .none:
            if request.method != .GET { headers.replaceOrAdd(name: "Content-Length", value: "0") }
        case .bytes(let bytes):
            headers.replaceOrAdd(name: "Content-Length", value: String(bytes.readableBytes))
        case .stream:
            headers.replaceOrAdd(name: "Transfer-Encoding", value: "chunked")
        }
        return HTTPRequestHead(version: .http1_1, method: request.method, uri: request.uri, headers: headers)
    }

    private func send(
        _ request: Request, over outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>
    ) async throws {
        var head = head(for: request)
        head.headers.replaceOrAdd(name: "Connection", value: "close")
        do {
            switch request.body {
            case .none:
                try await outbound.write(contentsOf: [.head(head), .end(nil)])
            case .bytes(let bytes):
                try await outbound.write(contentsOf: [.head(head), .body(.byteBuffer(bytes)), .end(nil)])
            case .stream(let next):
                try await outbound.write(.head(head))
                while let bytes = try await next() {
                    try await outbound.write(.body(.byteBuffer(bytes)))
                }
                try await outbound.write(.end(nil))
            }
        } catch is any NIOConnectionTrouble {
            // The daemon has closed its end; what it answered tells why.
        } catch is CancellationError {
            // The answer has come before the end of the request.
        }
    }

    static func reason(_ errno: Int32) -> String {
        switch errno {
        case ENOENT: "there is no such socket"
        case ECONNREFUSED: "nobody listens there"
        default: String(cString: strerror(errno))
        }
    }
}

/// Errors of NIO that mean that the connection has gone.
protocol NIOConnectionTrouble: Error {}
extension IOError: NIOConnectionTrouble {}
extension ChannelError: NIOConnectionTrouble {}
extension NIOAsyncWriterError: NIOConnectionTrouble {}
extension NIOSSLError: NIOConnectionTrouble {}
extension BoringSSLError: NIOConnectionTrouble {}
