import Foundation
import Glibc
import Testing

/// Two daemons that know each other as remotes "one" and "two", for containers to move between.
struct HostPair {
    let one: TestHost
    let two: TestHost

    /// Starts both, and takes them away after `body`.
    static func with(_ name: String, _ body: (HostPair) throws -> Void) throws {
        let one = try TestHost("\(name)-1")
        defer { one.tearDown() }
        let two = try TestHost("\(name)-2")
        defer { two.tearDown() }
        let hosts = HostPair(one: one, two: two)
        for host in hosts.all {
            try host.apus("config", "set", "core.https_address", "127.0.0.1:\(NetworkPort.freePort())")
        }
        try hosts.acquaint(one, with: two, as: "two")
        try hosts.acquaint(two, with: one, as: "one")
        try body(hosts)
        for host in hosts.all {
            try eventually("nothing to be left over on \(host.folder)") {
                try host.query("/1.0/operations").isEmptyOrEnded
            }
        }
    }

    var all: [TestHost] { [one, two] }

    /// The other one.
    func other(_ host: TestHost) -> TestHost { host === one ? two : one }

    /// What a host calls the other one.
    func remote(of host: TestHost) -> String { host === one ? "one" : "two" }

    /// Has a host know the other one as a remote, by a token.
    func acquaint(_ host: TestHost, with other: TestHost, as name: String) throws {
        let said = try other.apus("config", "trust", "add", "client-of-\(name)").text
        guard let token = said.split(separator: "\n").last else { throw Trouble("no token: \(said)") }
        try host.apus("remote", "add", name, String(token))
    }

    /// Waits until exactly one host has a container running, and nothing is under way on either.
    /// - Returns: that host.
    func settledHome(of name: String, _ when: String) throws -> TestHost {
        try eventually("exactly one host to have \(name) (\(when))", limit: .seconds(60)) {
            (try? home(of: name)) != nil
                && all.allSatisfy { (try? $0.query("/1.0/operations").isEmptyOrEnded) == true }
        }
        return try home(of: name, when)
    }

    /// The host on which a container runs.
    /// - Throws: if it runs on both, or on neither.
    func home(of name: String, _ when: String = "") throws -> TestHost {
        let running = try all.filter { try $0.status(of: name) == "Running" }
        guard running.count == 1, let home = running.first else {
            let seen = try all.map { try $0.status(of: name) ?? "not there" }
            throw Trouble("\(when): \(name) runs on \(running.count) hosts (\(seen.joined(separator: ", ")))")
        }
        return home
    }
}

extension JSON {
    /// Whether no operation is under way.
    fileprivate var isEmptyOrEnded: Bool { self["running"].array.isEmpty }
}
