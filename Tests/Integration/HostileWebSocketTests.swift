import Foundation
import Testing

extension Integration {
    /// Websocket frames that no client would send.
    @Suite struct HostileWebSockets {
        @Test func onlyTheSecretOpensASession() throws {
            try withContainer(.busybox) { host, name in
                let session = try Session(host, name, ["sleep", "5"])
                for secret in ["", "0", String(repeating: "0", count: 64), "../x"] {
                    let answer = try Session.upgrade(
                        host, "/1.0/operations/\(session.operation)/websocket?secret=\(secret)"
                    ).answer
                    #expect(answer.status == 403 || answer.status == 400, "\(secret): \(answer.status)")
                }
                let unknown = try Session.upgrade(
                    host, "/1.0/operations/no-such-operation/websocket?secret=0"
                ).answer
                #expect(unknown.status == 404)
                // Without an upgrade it is no websocket.
                let plain = try host.connection().get(
                    "/1.0/operations/\(session.operation)/websocket?secret=\(session.secrets["0"] ?? "")")
                #expect(plain.status >= 400)
            }
        }

        /// Frames, as bytes after the handshake; `masked` ones are right but for what they are named after.
        static let frames: [(String, [UInt8])] = [
            ("not masked", [0x82, 0x03, 0x61, 0x62, 0x63]),
            ("a reserved kind", [0x83, 0x80, 0, 0, 0, 0]),
            ("reserved bits", [0xf2, 0x81, 0, 0, 0, 0, 0x61]),
            ("a fragmented ping", [0x09, 0x81, 0, 0, 0, 0, 0x61]),
            ("a ping longer than pings are", [0x89, 0xfe, 0x01, 0x00, 0, 0, 0, 0]),
            ("a continuation of nothing", [0x80, 0x81, 0, 0, 0, 0, 0x61]),
            ("eight exabytes", [0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
            ("a negative length", [0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
            ("a close of one byte", [0x88, 0x81, 0, 0, 0, 0, 0x03]),
            ("text that is not UTF-8", [0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe]),
            ("half a frame", [0x82, 0xff]),
            ("noise", (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ 13) }),
        ]

        @Test func malformedFramesEndTheSessionAndNothingElse() throws {
            try withContainer(.busybox) { host, name in
                for (what, bytes) in Self.frames {
                    for stream in ["0", "control"] {
                        do {
                            let session = try Session(host, name, ["cat"])
                            let sockets = try session.openAll()
                            sockets[stream]?.send(Data(bytes))
                            _ = try? sockets[stream]?.receive(limit: .milliseconds(200))
                        }
                        try expectAlive(host)
                        #expect(try host.exec(name, "echo", "alive") == "alive", "after \(what) on \(stream)")
                    }
                }
                try eventually("the commands of broken sessions to end") {
                    try !host.exec(
                        name, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'", expecting: nil
                    )
                    .split(separator: "\n").contains("cat\n")
                }
            }
        }

        @Test func nonsenseOnTheControlStreamIsPassedOver() throws {
            try withContainer(.busybox) { host, name in
                let session = try Session(host, name, ["sh", "-c", "read x; echo got $x"])
                let sockets = try session.openAll()
                for text in [
                    "{", "[]", "{\"command\":\"dance\"}",
                    "{\"command\":\"window-resize\",\"args\":{\"width\":\"-1\"}}",
                    "{\"command\":\"signal\",\"signal\":99999}", "{\"command\":\"signal\",\"signal\":\"x\"}",
                ] {
                    sockets["control"]?.send(Session.frame(0x81, Data(text.utf8)))
                }
                sockets["0"]?.send(Session.frame(0x82, Data("it\n".utf8)))
                var said = ""
                try eventually("the command to answer") {
                    guard let output = sockets["1"] else { return false }
                    said += String(decoding: try output.receive(exactly: 1), as: UTF8.self)
                    return said.contains("got it")
                }
                try expectAlive(host)
            }
        }

        /// Fragmented messages are put together, as some clients send them.
        @Test func fragmentsArePutTogether() throws {
            try withContainer(.busybox) { host, name in
                let session = try Session(host, name, ["sh", "-c", "read x; echo got $x"])
                let sockets = try session.openAll()
                sockets["0"]?.send(Session.frame(0x02, Data("pie".utf8)))
                sockets["0"]?.send(Session.frame(0x00, Data("ces".utf8)))
                sockets["0"]?.send(Session.frame(0x80, Data("\n".utf8)))
                var said = ""
                try eventually("the command to answer") {
                    guard let output = sockets["1"] else { return false }
                    said += String(decoding: try output.receive(exactly: 1), as: UTF8.self)
                    return said.contains("got pieces")
                }
            }
        }
    }
}

/// An exec session, driven by hand over raw connections.
private struct Session {
    let host: TestHost
    let operation: String
    let secrets: [String: String]

    init(_ host: TestHost, _ name: String, _ command: [String]) throws {
        self.host = host
        let request: [String: Any] = [
            "command": command, "wait-for-websocket": true, "interactive": false,
            "environment": [String: String](),
        ]
        let body = String(decoding: try JSONSerialization.data(withJSONObject: request), as: UTF8.self)
        let answer = try host.connection().request("POST", "/1.0/containers/\(name)/exec", body)
        guard answer.status == 202 else { throw Trouble("exec: \(answer.status) \(answer.text)") }
        let json = try JSON(answer.body)
        guard let id = json["metadata"]["id"].string else { throw Trouble("no operation in \(answer.text)") }
        operation = id
        let streams = json["metadata"]["metadata"]["fds"]
        secrets = Dictionary(uniqueKeysWithValues: streams.keys.map { ($0, streams[$0].string ?? "") })
    }

    /// Connects all streams, in the order clients do.
    func openAll() throws -> [String: RawConnection] {
        var open: [String: RawConnection] = [:]
        for stream in ["control", "0", "1", "2"] {
            guard let secret = secrets[stream] else { continue }
            let (connection, answer) = try Self.upgrade(
                host, "/1.0/operations/\(operation)/websocket?secret=\(secret)")
            guard answer.status == 101 else {
                throw Trouble("stream \(stream): \(answer.status) \(answer.text)")
            }
            open[stream] = connection
        }
        return open
    }

    static func upgrade(_ host: TestHost, _ path: String) throws -> (
        connection: RawConnection, answer: RawConnection.Answer
    ) {
        let connection = try host.connection()
        let answer = try connection.request(
            "GET", path,
            headers: [
                "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            ])
        return (connection, answer)
    }

    /// A masked frame; the mask is zero, which is allowed.
    static func frame(_ first: UInt8, _ payload: Data) -> Data {
        Data([first, 0x80 | UInt8(payload.count), 0, 0, 0, 0]) + payload
    }
}
