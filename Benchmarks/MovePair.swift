import Foundation
import Glibc
import LinuxSystem

/// Two hosts and a client on one segment, made by `scripts/two-hosts`.
final class MovePair {
    private let environment: [String: String]
    private static let script = "scripts/two-hosts"

    /// Makes them, their pools with this driver.
    init(programs: String, pool: String) throws {
        environment = Environment.all.merging(
            ["APUS_TWO_HOSTS_ID": "bench\(getpid())", "APUS_BIN": programs]
        ) { $1 }
        try BenchHost.run([Self.script, "up", "--pool", pool], environment: environment)
    }

    /// Takes them away, with all that is on them.
    func tearDown() { _ = try? BenchHost.run([Self.script, "down"], environment: environment) }

    /// Runs the client of a host ("a" or "b").
    @discardableResult
    func apus(_ host: String, _ arguments: String...) throws -> String {
        try BenchHost.run([Self.script, "run", host, "apus"] + arguments, environment: environment)
    }

    /// Runs a program in a container.
    @discardableResult
    func exec(_ host: String, _ name: String, _ arguments: String...) throws -> String {
        try BenchHost.run(
            [Self.script, "run", host, "apus", "exec", name, "--"] + arguments, environment: environment)
    }

    /// Where a host keeps the files of a container.
    func files(_ host: String, _ name: String) -> String {
        let id = environment["APUS_TWO_HOSTS_ID"] ?? ""
        return "/var/tmp/apus-two-hosts\(id)/\(host)/apus/storage-pools/default/containers/\(name)/rootfs"
    }

    /// Connects the third machine to a server.
    func connect(guest: String, to address: String, port: String) throws -> MoveClient {
        try MoveClient(
            Spawn([Self.script, "run", "c", guest, "client", address, port], environment: environment))
    }
}

/// Somebody who asks a server every 5 ms over one connection that it keeps.
final class MoveClient {
    private let process: ProcessDescriptor
    private let input: FileDescriptor
    private let output: FileDescriptor

    /// Starts it; returns when it is connected.
    init(_ program: Spawn) throws {
        let (into, from) = (try FileDescriptor.pipe(), try FileDescriptor.pipe())
        var program = program
        program.fds = [0: into.read, 1: from.write, 2: from.write]
        process = try program.start()
        into.read.close()
        from.write.close()
        (input, output) = (into.write, from.read)
        let said = String(decoding: try output.read(upTo: 512), as: UTF8.self)
        guard said == "connected\n" else {
            end()
            throw BenchError(description: "the client cannot connect: \(said)")
        }
    }

    /// The longest time between two answers, in seconds.
    func longestGap() throws -> Double {
        input.close()
        let said = String(decoding: try output.read(upTo: 512), as: UTF8.self)
        _ = try process.waitBlocking()
        let numbers = said.split(whereSeparator: \.isWhitespace).compactMap { Double($0) }
        guard numbers.count == 2, numbers[0] > 10 else {
            throw BenchError(description: "the connection did not outlive the move: \(said)")
        }
        return numbers[1] / 1_000_000
    }

    private func end() {
        input.close()
        process.signal(SIGTERM)
        _ = try? process.waitBlocking()
    }
}
