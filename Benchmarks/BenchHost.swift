import Foundation
import Glibc
import LinuxSystem

/// What went wrong, in a sentence.
struct BenchError: Error, CustomStringConvertible {
    let description: String
}

/// An apusd of its own, and the client beside it.
final class BenchHost {
    let folder: String
    private let programs: String
    private(set) var daemon: ProcessDescriptor
    private let variables: [String: String]

    /// Starts a daemon with an empty APUS_DIR and initialises it.
    init(programs: String) throws {
        self.programs = programs
        let base = "/var/tmp/apus-bench-\(getpid())"
        folder = base + "/apus"
        try FileManager.default.createDirectory(atPath: base, withIntermediateDirectories: true)
        variables = Environment.all.merging(["APUS_DIR": folder]) { $1 }
        let log = try FileDescriptor.open(base + "/apusd.log", O_WRONLY | O_CREAT | O_APPEND, mode: 0o600)
        daemon = try Spawn(
            [programs + "/apusd"], environment: variables, fds: [1: log, 2: log]
        ).configured { $0.newSession = true }.start()
        try apus("admin", "waitready", "--timeout", "60")
        try apus("admin", "init", "--auto", "--storage-backend", "dir", "--network", "none")
    }

    /// Ends everything.
    func tearDown() {
        for name in (try? containers()) ?? [] { _ = try? apus("delete", name, "--force") }
        daemon.signal(SIGTERM)
        _ = try? daemon.waitBlocking()
        // rm(1) does not take a path that ends with "..".
        _ = try? Self.run(["rm", "-rf", "--one-file-system", (folder as NSString).deletingLastPathComponent])
    }

    /// The names of all containers.
    func containers() throws -> [String] {
        try apus("list", "--format", "csv", "-c", "n").split(separator: "\n").map(String.init)
    }

    /// How the pool keeps its files: `dir`, `btrfs`.
    func poolDriver() throws -> String {
        let answer = try apus("query", "/1.0/storage-pools/default")
        return try JSONDecoder().decode(Pool.self, from: Data(answer.utf8)).driver
    }

    private struct Pool: Decodable { let driver: String }

    /// The process beside each running container.
    func runtimes() throws -> [pid_t] {
        try containers().compactMap { name in
            let lives = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/runtime/\(name)")
            guard let life = lives.max(by: { (Int($0) ?? 0) < (Int($1) ?? 0) }) else { return nil }
            let status = URL(filePath: "\(folder)/runtime/\(name)/\(life)/status.json")
            return try JSONDecoder().decode(Status.self, from: Data(contentsOf: status)).runtimePID
        }
    }

    private struct Status: Decodable { let runtimePID: pid_t }

    /// Lets everything written so far reach the disk, so that one round does not pay for the one before it.
    func settle() { sync() }

    /// Runs the client; gives its standard output.
    @discardableResult
    func apus(_ arguments: String...) throws -> String { try apus(arguments) }

    /// Runs the client; gives its standard output.
    @discardableResult
    func apus(_ arguments: [String]) throws -> String {
        try Self.run([programs + "/apus"] + arguments, environment: variables)
    }

    /// Runs the client; gives how long it took, in seconds.
    func time(_ arguments: String...) throws -> Double { try time(arguments) }

    /// Runs the client; gives how long it took, in seconds.
    func time(_ arguments: [String]) throws -> Double {
        let before = ContinuousClock.now
        try Self.run([programs + "/apus"] + arguments, environment: variables)
        return (ContinuousClock.now - before) / .seconds(1)
    }

    /// Runs a program to its end; throws unless it gives 0.
    @discardableResult
    static func run(_ arguments: [String], environment: [String: String]? = nil) throws -> String {
        let file = "/var/tmp/apus-bench-\(getpid()).out"
        let output = try FileDescriptor.open(file, O_RDWR | O_CREAT | O_TRUNC, mode: 0o600)
        defer { unlink(file) }
        let status = try Spawn(arguments, environment: environment, fds: [1: output, 2: output]).start()
            .waitBlocking()
        let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
        guard status.isSuccess else {
            throw BenchError(description: "\(arguments.joined(separator: " ")): \(status): \(text)")
        }
        return text.trimmingCharacters(in: .newlines)
    }

    /// Asks again and again until the answer is yes.
    static func wait(for what: String, seconds: Double = 60, _ condition: () throws -> Bool) throws {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while try !condition() {
            guard ContinuousClock.now < deadline else {
                throw BenchError(description: "waited \(seconds) s for \(what)")
            }
            poll(nil, 0, 50)
        }
    }
}
