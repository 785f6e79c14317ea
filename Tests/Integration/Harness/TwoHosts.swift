import Foundation

/// Two hosts that listen on addresses of the loopback, and a client of the first that may know the second.
final class TwoHosts {
    /// The host that the client is on.
    let near: TestHost
    /// The other one.
    let far: TestHost
    /// Where the far host listens: "127.0.0.1:PORT".
    let address: String

    /// The shared host and a fresh one, both listening. The client knows the far one not yet.
    init() throws {
        near = try Integration.host
        far = try TestHost(Integration.freshName("far"))
        address = try "127.0.0.1:\(NetworkPort.freePort())"
        do {
            try far.apus("config", "set", "core.https_address", address)
            try near.apus("config", "set", "core.https_address", "127.0.0.1:\(NetworkPort.freePort())")
        } catch {
            tearDown()
            throw error
        }
    }

    /// Makes them known to each other's clients: `far:` on the near host.
    func join() throws { try near.apus("remote", "add", "far", try token()) }

    /// A token of the far host.
    func token(_ name: String = "near") throws -> String {
        let said = try far.apus("config", "trust", "add", name, "-q").text
        guard let token = said.split(whereSeparator: \.isWhitespace).last(where: { $0.count > 60 }) else {
            throw Trouble("\"config trust add\" printed no token: \(said)")
        }
        return String(token)
    }

    /// Takes the far one away, and lets the near one forget it.
    func tearDown() {
        _ = try? near.apus("remote", "switch", "local", expecting: nil)
        _ = try? near.apus("remote", "remove", "far", expecting: nil)
        _ = try? near.apus("config", "unset", "core.https_address", expecting: nil)
        far.tearDown()
    }
}

/// Two hosts for as long as `body` runs.
func withTwoHosts(_ body: (TwoHosts) throws -> Void) throws {
    let hosts = try TwoHosts()
    defer { hosts.tearDown() }
    try body(hosts)
}
