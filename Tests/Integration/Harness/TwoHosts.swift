import Foundation
import Glibc

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
        address = "127.0.0.1:\(Self.freePort())"
        do {
            try far.apus("config", "set", "core.https_address", address)
            try near.apus("config", "set", "core.https_address", "127.0.0.1:\(Self.freePort())")
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

    /// A port that nobody listens on now.
    static func freePort() -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(descriptor, $0, length)
                _ = getsockname(descriptor, $0, &length)
            }
        }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

/// Two hosts for as long as `body` runs.
func withTwoHosts(_ body: (TwoHosts) throws -> Void) throws {
    let hosts = try TwoHosts()
    defer { hosts.tearDown() }
    try body(hosts)
}
