import Foundation
import Glibc
import Testing

extension Integration {
    /// The API on the network, and who may use it.
    @Suite struct Trust {
        private func withPort(_ body: (NetworkPort) throws -> Void) throws {
            let port = try NetworkPort(try Integration.host)
            defer { port.close() }
            try body(port)
        }

        @Test func aTokenLetsOneClientInOnce() throws {
            try withPort { port in
                let token = try port.host.apus("config", "trust", "add", "laptop").text
                let json = try JSON(try #require(Data(base64Encoded: token)))
                #expect(json["client_name"].string == "laptop")
                #expect(json["addresses"][0].string == port.address)
                let server = try port.host.query("/1.0")["environment"]
                #expect(json["fingerprint"].string == server["certificate_fingerprint"].string)
                #expect(try port.host.apus("config", "trust", "list-tokens").text.contains(token))

                let first = try port.client("first")
                #expect(try first.request("GET", "/1.0/profiles").status == 403)
                #expect(try first.join(token).status == 201)
                #expect(try first.isTrusted)
                #expect(try first.request("GET", "/1.0/profiles").status == 200)
                let list = try port.host.apus("config", "trust", "list", "--format", "csv").text
                #expect(list.contains("client,laptop,first,\(try first.fingerprint.prefix(12))"))

                let second = try port.client("second")
                #expect(try second.join(token).status == 403)
                #expect(try !second.isTrusted)
                #expect(try !port.host.apus("config", "trust", "list-tokens").text.contains(token))
            }
        }

        @Test func aTokenEndsWithItsTimeAndWhenItIsRevoked() throws {
            try withPort { port in
                let client = try port.client("late")
                let revoked = try port.host.apus("config", "trust", "add", "late").text
                try port.host.apus("config", "trust", "revoke-token", "late")
                #expect(try client.join(revoked).status == 403)
                try port.host.apus("config", "set", "core.remote_token_expiry", "1S")
                let expired = try port.host.apus("config", "trust", "add", "late").text
                try eventually("the token to expire") {
                    try !port.host.apus("config", "trust", "list-tokens").text.contains(expired)
                }
                #expect(try client.join(expired).status == 403)
                #expect(try !client.isTrusted)
            }
        }

        @Test func passwordsAreTriedSlowlyAndKeptToThemselves() throws {
            try withPort { port in
                let (host, password) = (port.host, "horse-battery-staple")
                let short = try host.apus("config", "set", "core.trust_password", "short", expecting: 1)
                #expect(short.complaint.contains("8 characters") && !short.complaint.contains("short\""))
                try host.apus(
                    "config", "set", "core.trust_password", "-", input: .bytes(Data((password + "\n").utf8)))
                #expect(try host.apus("config", "get", "core.trust_password").text == "true")
                // What is shown can be sent back.
                try host.apus("config", "set", "core.trust_password", "true")
                let good = try port.client("good")
                #expect(try good.join(password).status == 201)

                let guesser = try port.client("guesser")
                var seen: [Int] = []
                for number in 0..<12 { seen.append(try guesser.join("guess-number-\(number)").status) }
                #expect(seen.first == 403)
                #expect(seen.last == 429)
                #expect(Set(seen) == [403, 429])
                // Who is stopped cannot come in with the right one either.
                #expect(try guesser.join(password).status == 429)
                #expect(try !guesser.isTrusted)
                let said = text(of: host.log)
                #expect(!said.contains(password) && !said.contains("guess-number"))
                #expect(said.contains("a wrong trust password"))
                for file in ["apus.db", "apus.db-wal"] {
                    let kept = try Data(contentsOf: URL(filePath: host.folder + "/" + file))
                    #expect(kept.range(of: Data(password.utf8)) == nil, "\(file)")
                }
            }
        }

        @Test func whoIsTrustedNoLongerIsOutAtOnce() throws {
            try withPort { port in
                let client = try port.client("gone")
                try port.host.apus("config", "trust", "add", client.certificate, "--name", "gone")
                #expect(try client.isTrusted)
                let events = try client.open(
                    "GET /1.0/events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
                try events.wait(for: "the websocket to open") { $0.contains("101 Switching Protocols") }
                let idle = try client.open("GET /1.0 HTTP/1.1\r\nHost: x\r\n\r\n")
                try idle.wait(for: "the answer") { $0.contains("\"auth\":\"trusted\"") }
                try port.host.apus("config", "trust", "remove", String(try client.fingerprint.prefix(12)))
                _ = try events.wait(limit: .seconds(5))
                _ = try idle.wait(limit: .seconds(5))
                #expect(try !client.isTrusted)
                #expect(try client.request("GET", "/1.0/profiles").status == 403)
            }
        }

        @Test func aClientCanRemoveItself() throws {
            try withPort { port in
                let client = try port.client("self")
                try port.host.apus("config", "trust", "add", client.certificate)
                #expect(
                    try client.request("DELETE", "/1.0/certificates/\(try client.fingerprint)").status == 200)
                #expect(try !client.isTrusted)
            }
        }

        @Test func onlyTheNewestTLSIsSpoken() throws {
            try withPort { port in
                #expect(try port.stranger.request("GET", "/").status == 200)
                #expect(try port.stranger.request("GET", "/", nil, "--tls-max", "1.2").status == 0)
                let plain = try run(["curl", "--silent", "--max-time", "10", "http://\(port.address)/"])
                #expect(plain.code != 0)
            }
        }

        @Test func anIdentityOutlivesTheDaemon() throws {
            try withPort { port in
                let client = try port.client("keeper")
                try port.host.apus("config", "trust", "add", client.certificate)
                let before = try port.host.query("/1.0")["environment"]["certificate_fingerprint"].string
                try port.host.stopDaemon()
                try port.host.startDaemon()
                #expect(
                    try port.host.query("/1.0")["environment"]["certificate_fingerprint"].string == before)
                #expect(try client.isTrusted)
            }
        }

        @Test func theAddressMovesAndABadOneChangesNothing() throws {
            try withPort { port in
                let busy = try Listener()
                for (bad, reason) in [
                    ("nonsense", "address to listen at"), ("203.0.113.7:8443", "no such address"),
                    ("127.0.0.1:\(busy.port)", "something else listens"), (":0", "address to listen at"),
                ] {
                    let refusal = try port.host.apus(
                        "config", "set", "core.https_address", bad, expecting: 1)
                    #expect(refusal.complaint.contains(reason), "\(bad): \(refusal.complaint)")
                    #expect(try port.stranger.request("GET", "/").status == 200, "after \(bad)")
                    #expect(
                        try port.host.apus("config", "get", "core.https_address").text == port.address)
                }
                // From one address to all, on the same port, and back.
                try port.host.apus("config", "set", "core.https_address", ":\(port.port)")
                #expect(try port.stranger.request("GET", "/").status == 200)
                try port.host.apus("config", "set", "core.https_address", port.address)
                #expect(try port.stranger.request("GET", "/").status == 200)
                try port.host.apus("config", "unset", "core.https_address")
                #expect(try port.stranger.request("GET", "/").status == 0)
                let token = try port.host.apus("config", "trust", "add", "x", expecting: 1)
                #expect(token.complaint.contains("core.https_address"))
            }
        }

        @Test func anAddressThatComesLaterIsServedWhenItIsThere() throws {
            try withPort { port in
                let host = port.host
                try host.stopDaemon()
                let absent = "203.0.113.9:\(port.port)"
                try host.changeDatabase(
                    "UPDATE server_config SET value = replace(value, '\(port.address)', '\(absent)') WHERE key = 'config'"
                )
                try host.startDaemon()
                #expect(try host.apus("config", "get", "core.https_address").text == absent)
                try must(["ip", "address", "add", "203.0.113.9/32", "dev", "lo"])
                defer { _ = try? must(["ip", "address", "delete", "203.0.113.9/32", "dev", "lo"]) }
                _ = try RawConnection(port: port.port, at: "203.0.113.9")
                try host.apus("config", "set", "core.https_address", port.address)
                #expect(try port.stranger.request("GET", "/").status == 200)
            }
        }

        @Test func strangersCannotUseUpTheDaemon() throws {
            try withPort { port in
                let client = try port.client("known")
                try port.host.apus("config", "trust", "add", client.certificate)
                // Noise instead of a handshake.
                for bytes in [Data("GET / HTTP/1.1\r\n\r\n".utf8), Data(repeating: 0x16, count: 5000)] {
                    let connection = try RawConnection(port: port.port)
                    connection.send(bytes)
                    _ = try connection.receiveToEnd(limit: .seconds(15))
                }
                // More connections than one peer may have without a handshake: those too many are closed at once.
                let silent = try (0..<40).map { _ in try RawConnection(port: port.port) }
                // Which ones these are is not said: several threads take connections in.
                usleep(500_000)
                let closed = silent.filter { (try? $0.receiveToEnd(limit: .milliseconds(50))) != nil }.count
                #expect(closed == 8)
                // The others lose theirs after a while, as does one that is slow with its first request.
                let slow = try port.stranger.openSlow()
                for connection in silent {
                    _ = try connection.receiveToEnd(limit: .seconds(30))
                }
                _ = try slow?.wait(limit: .seconds(60))
                #expect(try client.request("GET", "/1.0/profiles").status == 200)
                try expectAlive(port.host)
            }
        }
    }
}

extension NetworkClient {
    /// A connection whose request never ends; nil if the daemon would not have it.
    fileprivate func openSlow() throws -> Program? {
        var program: Program?
        try eventually("a connection for the slow one", limit: .seconds(30)) {
            let tried = try open("GET /1.0 HTTP/1.1\r\nX-Slow: ")
            guard try port.stranger.request("GET", "/").status == 200 else { return false }
            program = tried
            return true
        }
        return program
    }
}

/// Something else that listens at a port.
private final class Listener {
    let port: Int
    private let descriptor: Int32

    init() throws {
        port = try NetworkPort.freePort()
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard bound, listen(descriptor, 1) == 0 else { throw Trouble("cannot listen at \(port)") }
    }

    deinit { close(descriptor) }
}
