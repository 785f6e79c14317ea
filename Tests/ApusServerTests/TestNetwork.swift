import ApusAPI
import ApusCore
import Certificates
import Foundation
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Testing

/// A test daemon's port on the network.
struct TestNetwork {
    let port: Int

    /// A client with a certificate of its own, or with none.
    func client(named name: String? = nil) throws -> TestClient {
        TestClient(
            port: port, identity: try name.map { try Identity.make(.client, commonName: $0) })
    }
}

extension TestDaemon {
    /// Has the daemon listen at a free port of the loopback interface.
    func openNetwork() async throws -> TestNetwork {
        let port = try await Self.freePort()
        try await daemon.update(
            config: ["core.https_address": "127.0.0.1:\(port)"], merge: true, ifMatch: nil)
        return TestNetwork(port: port)
    }

    static func freePort() async throws -> Int {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        try await channel.close()
        return port
    }
}

/// What a client of the network was answered.
struct TestReply {
    let status: Int
    let body: Data

    var text: String { String(decoding: body, as: UTF8.self) }

    func error() throws -> String { try APIJSON.decode(Response<Empty>.self, from: body).error }
}

/// A client on the network: one connection for each request, TLS as LXD's client speaks it.
struct TestClient {
    let port: Int
    let identity: Identity?

    /// A request for a certificate to be trusted, as JSON.
    func post(name: String, password: String = "") throws -> String {
        var post = CertificatesPost()
        post.name = name
        post.password = password
        post.certificate = identity.map { Data($0.certificate.der).base64EncodedString() } ?? ""
        return String(decoding: try APIJSON.encode(post), as: UTF8.self)
    }

    /// A request for a route such as "GET /1.0/instances/{name}".
    func request(route: String) async throws -> TestReply {
        let parts = route.split(separator: " ")
        let path = parts[1].replacing(/\{[^}]*\}/, with: "x")
        return try await request(String(parts[0]), String(path))
    }

    func request(_ method: String, _ path: String, _ body: String = "") async throws -> TestReply {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv13
        configuration.certificateVerification = .none
        if let identity {
            configuration.certificateChain = [
                .certificate(try NIOSSLCertificate(bytes: identity.certificate.der, format: .der))
            ]
            configuration.privateKey = .privateKey(
                try NIOSSLPrivateKey(bytes: Array(identity.privateKeyPEM.utf8), format: .pem))
        }
        let context = try NIOSSLContext(configuration: configuration)
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        try NIOSSLClientHandler(context: context, serverHostname: nil))
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    return try NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>(
                        wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            let headers: HTTPHeaders = [
                "Host": "127.0.0.1", "Connection": "close", "Content-Length": "\(body.utf8.count)",
            ]
            try await outbound.write(
                .head(
                    HTTPRequestHead(
                        version: .http1_1, method: HTTPMethod(rawValue: method), uri: path, headers: headers))
            )
            try await outbound.write(.body(.byteBuffer(ByteBuffer(string: body))))
            try await outbound.write(.end(nil))
            var status = 0
            var data = Data()
            for try await part in inbound {
                switch part {
                case .head(let head): status = Int(head.status.code)
                case .body(let buffer): data.append(contentsOf: buffer.readableBytesView)
                case .end: return TestReply(status: status, body: data)
                }
            }
            return TestReply(status: status, body: data)
        }
    }
}
