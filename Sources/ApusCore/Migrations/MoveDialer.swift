import ApusAPI
import ApusClient
import Certificates
import Foundation
import LinuxSystem
import Migration
import NIOCore

/// Connects this daemon to another one's operation, and asks others about moves.
struct MoveDialer: Sendable {
    private let client: Client
    private let path: String
    private let secrets: [String: String]

    /// The way to an operation.
    /// - Parameters:
    ///   - operation: its URL, `https://host:port/1.0/operations/<uuid>`.
    ///   - certificate: the one that the host may show, PEM; empty for one that authorities vouch for.
    ///   - secrets: of its websockets, by their names.
    /// - Throws: `ServiceError` if that is no such URL, or a secret is missing without which nothing goes.
    init(operation: String, certificate: String, secrets: [String: String]) throws {
        for name in [MoveSockets.Name.control, .fs] where (secrets[name.rawValue] ?? "").isEmpty {
            throw ServiceError.badRequest(
                "\"secrets\" lacks that of the websocket \"\(name.rawValue)\", which the other host's operation has in its metadata"
            )
        }
        self.secrets = secrets
        guard operation.hasPrefix("https://"), let start = operation.range(of: "/1.0/operations/") else {
            throw ServiceError.badRequest(
                "\"\(operation)\" is not the URL of an operation (https://host:port/1.0/operations/…)")
        }
        path = String(operation[start.lowerBound...]) + "/websocket"
        client = try Self.client(String(operation[..<start.lowerBound]), certificate)
    }

    private static func client(_ url: String, _ certificate: String) throws -> Client {
        do {
            let pinned = try certificate.isEmpty ? nil : TLSCertificate(text: certificate)
            return Client(.https(try SecureAddress(url: url, pinned: pinned)))
        } catch {
            throw ServiceError.badRequest("cannot connect to \(url): \(ServiceError.text(of: error))")
        }
    }

    /// Opens the sockets one after the other, in LXD's order, and hands them to the move. The task ends with it.
    func connect(to sockets: MoveSockets) -> Task<Void, any Error> {
        let names = MoveSockets.Name.allCases.filter { secrets[$0.rawValue] != nil }
        return Task {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for name in names {
                    guard let secret = secrets[name.rawValue] else { continue }
                    let opened = Occurrence()
                    group.addTask {
                        defer { opened.happen() }
                        try await client.webSocket(path, query: [(name: "secret", value: secret)]) { socket in
                            opened.happen()
                            await DialledSocket.run(socket, as: name, in: sockets)
                        }
                    }
                    _ = await opened.wait()
                }
                do {
                    try await group.waitForAll()
                } catch {
                    sockets.close()
                    throw error
                }
            }
        }
    }

    /// Asks the other end of a move who owns the container.
    /// - Returns: nil if it cannot say yet.
    static func ask(_ peer: MovePeerAddress, about id: String, secret: String, ended: Bool) async throws
        -> MoveVerdict?
    {
        var last: (any Error)?
        for url in peer.urls {
            do {
                let client = try client(url, peer.certificate)
                return try await verdict(client, id, secret, ended)
            } catch {
                last = error
            }
        }
        throw last ?? MigrationError(.connectionLost, "the other host told no address where it can be asked")
    }

    private static func verdict(_ client: Client, _ id: String, _ secret: String, _ ended: Bool) async throws
        -> MoveVerdict?
    {
        let reply = try await client.verdict(of: id, MoveVerdictPost(secret: secret, ended: ended))
        return MoveVerdict(rawValue: reply.verdict)
    }
}

/// A websocket that this daemon has dialled, as the services see websockets.
private final class DialledSocket: MessageSocket {
    private let socket: WebSocket
    private let mailbox = Mailbox()

    private init(_ socket: WebSocket) { self.socket = socket }

    /// Hands a socket to a move, until one of the two has ended.
    static func run(_ socket: WebSocket, as name: MoveSockets.Name, in sockets: MoveSockets) async {
        let dialled = DialledSocket(socket)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await dialled.read(wholeMessages: name == .control) }
            await sockets.serve(name.rawValue, dialled)
            dialled.mailbox.discard()
            group.cancelAll()
        }
    }

    func receive() async throws -> ClientMessage? { await mailbox.take() }
    func send(_ bytes: [UInt8]) async throws { try await socket.send(bytes) }
    func sendEnd() async throws { try await socket.sendEndOfStream() }
    func noticeLoss(within limit: Duration) async { await socket.noticeLoss(within: limit) }

    private func read(wholeMessages: Bool) async {
        var messages = socket.messages.makeAsyncIterator()
        // A connection that breaks is an end as well: whoever waits for more sees that something is missing.
        while let message = try? await wholeMessages
            ? messages.nextWhole(limit: ControlMessages.limit) : messages.next()
        {
            switch message {
            case .bytes(let bytes):
                await mailbox.put(.data(Array(bytes.readableBytesView), isLast: wholeMessages))
            case .text(let text): await mailbox.put(.text(text))
            case .endOfStream: await mailbox.put(.end)
            }
        }
        mailbox.finish()
    }
}
