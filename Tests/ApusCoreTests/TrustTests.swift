import ApusAPI
import ApusCore
import Testing

@Suite("Trust")
struct TrustTests {
    @Test(
        "Addresses to listen at",
        arguments: [
            (":8443", "", 8443), ("10.0.0.1", "10.0.0.1", 8443), ("10.0.0.1:443", "10.0.0.1", 443),
            ("[::]:8443", "::", 8443), ("[::1]", "::1", 8443), ("::1", "::1", 8443),
            ("0.0.0.0:1", "0.0.0.0", 1),
        ])
    func addresses(text: String, host: String, port: Int) throws {
        let address = try #require(ListenAddress(text))
        #expect(address.host == host)
        #expect(address.port == port)
        #expect(ListenAddress(address.description) == address)
    }

    @Test(
        "No addresses to listen at",
        arguments: [
            "", ":", ":0", ":65536", ":-1", ":+1", ":8443x", "10.0.0", "10.0.0.1:", "host:8443", "[::1",
            "[::1]x",
            "[10.0.0.1]:1", "[]:1", "::1]:1", "10.0.0.1:80:80", " :8443", "https://10.0.0.1:8443",
        ])
    func noAddresses(text: String) { #expect(ListenAddress(text) == nil) }

    @Test("Whoever listens on all addresses can be reached at those of the machine")
    func reachable() throws {
        let all = try #require(ListenAddress(":8443")).reachable()
        #expect(!all.isEmpty)
        #expect(all.allSatisfy { $0.hasSuffix(":8443") && !$0.hasPrefix(":") && !$0.hasPrefix("[fe80") })
        #expect(try #require(ListenAddress("[fd00::1]:1")).reachable() == ["[fd00::1]:1"])
    }

    @Test("A password is known again, and no other is")
    func password() async throws {
        let kept = try await PasswordHash.make("correct horse")
        #expect(!kept.contains("correct"))
        #expect(try await PasswordHash.matches("correct horse", kept))
        #expect(try await !PasswordHash.matches("correct horsf", kept))
        #expect(try await !PasswordHash.matches("", kept))
        #expect(try await PasswordHash.make("correct horse") != kept)
        await #expect(throws: ServiceError.self) { try await PasswordHash.matches("x", "plain") }
    }

    @Test("Who guesses has to wait, and others do not; but all together have to")
    func guesses() {
        let start = ContinuousClock.now
        var limit = GuessLimit(
            each: .init(burst: 3, interval: .seconds(10)), all: .init(burst: 7, interval: .seconds(1)),
            now: start)
        for _ in 0..<3 { #expect(limit.take("a", now: start) == nil) }
        #expect(limit.take("a", now: start) == .seconds(10))
        #expect(limit.take("b", now: start) == nil)
        // Fractions of seconds are kept as floating-point numbers.
        let rest = limit.take("a", now: start + .seconds(9)) ?? .zero
        #expect(rest > .milliseconds(999) && rest < .milliseconds(1001))
        #expect(limit.take("a", now: start + .seconds(10)) == nil)
        #expect(limit.take("a", now: start + .seconds(10)) != nil)
        for peer in 0..<6 { #expect(limit.take("p\(peer)", now: start + .seconds(10)) == nil) }
        #expect(limit.take("q", now: start + .seconds(10)) == .seconds(1))
    }

    @Test("A day of guessing from everywhere is a few thousand tries")
    func aDay() {
        let start = ContinuousClock.now
        var limit = GuessLimit(now: start)
        var tries = 0
        for second in 0..<86_400 {
            for peer in 0..<3 where limit.take("\(second).\(peer)", now: start + .seconds(second)) == nil {
                tries += 1
            }
        }
        #expect(tries <= 20 + 8640)
    }

    @Test("Addresses of one network count as one peer")
    func groups() {
        #expect(PeerAddress.group(of: "10.0.0.1") == "10.0.0.1")
        #expect(PeerAddress.group(of: "::ffff:10.0.0.1") == "10.0.0.1")
        #expect(PeerAddress.group(of: "fd00::1") == PeerAddress.group(of: "fd00::ffff:1"))
        #expect(PeerAddress.group(of: "fd00::1") != PeerAddress.group(of: "fd00:0:0:1::1"))
    }

    @Test("Spans of time")
    func spans() {
        #expect(ConfigValues.timeSpan("30M") == .seconds(1800))
        #expect(ConfigValues.timeSpan("1d 2H") == .seconds(93_600))
        for bad in ["", " ", "3", "H", "-1H", "3x", "1.5H", "99999999999999999999H"] {
            #expect(ConfigValues.timeSpan(bad) == nil, "\(bad)")
        }
    }

    @Test("A token's text gives the token back")
    func token() throws {
        let token = CertificateAddToken(
            clientName: "laptop", fingerprint: "ab", addresses: ["10.0.0.1:8443"], secret: "s",
            expiresAt: Timestamp(seconds: 1_700_000_000))
        #expect(CertificateAddToken(text: try token.text() + "\n") == token)
        for bad in ["", "password", "e30=", "eyJzZWNyZXQiOiJhIn0="] {
            #expect(CertificateAddToken(text: bad) == nil, "\(bad)")
        }
    }
}
