import Foundation
import Glibc
import Synchronization
import Testing

/// The real programs, driven as a user would, on real containers: one after the other, on one shared host.
@Suite(.serialized, .enabled(if: geteuid() == 0, "needs root"), .sharedHost)
enum Integration {
    /// The host that most tests share.
    static var host: TestHost {
        get throws {
            guard let host = shared.withLock({ $0 }) else { throw Trouble("the shared host did not start") }
            return host
        }
    }

    fileprivate static let shared = Mutex<TestHost?>(nil)
    private static let counter = Mutex(0)

    /// A name that no container had before.
    static func freshName(_ prefix: String = "t") -> String {
        counter.withLock {
            $0 += 1
            return "\(prefix)\($0)"
        }
    }

    /// How many checkpoint/restore cycles the long test makes.
    static let cycles = ProcessInfo.processInfo.environment["APUS_TEST_CYCLES"].flatMap { Int($0) } ?? 20
}

/// Starts the shared host before the first test, and takes it away after the last.
struct SharedHost: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        HostCleaner.cleanAbandonedRuns()
        let mounts = Set(HostState.allMounts().filter { !$0.contains("apus") })
        let host = try TestHost("shared")
        Integration.shared.withLock { $0 = host }
        defer {
            Integration.shared.withLock { $0 = nil }
            host.tearDown()
        }
        try await function()
        let lost = mounts.subtracting(HostState.allMounts())
        #expect(lost.filter { $0.hasPrefix("/sys") || $0.hasPrefix("/proc") || $0.hasPrefix("/dev") } == [])
    }
}

extension Trait where Self == SharedHost {
    /// Starts the shared host before the first test, and takes it away after the last.
    static var sharedHost: Self { Self() }
}

/// Launches a container, hands it to `body`, deletes it, and looks whether anything of it stays on the host.
func withContainer(
    _ image: TestImage, _ options: String..., on chosen: TestHost? = nil,
    sourceLocation: SourceLocation = #_sourceLocation, _ body: (TestHost, String) throws -> Void
) throws { try withContainer(image, options, on: chosen, sourceLocation: sourceLocation, body) }

/// Launches a container, hands it to `body`, deletes it, and looks whether anything of it stays on the host.
func withContainer(
    _ image: TestImage, _ options: [String], on chosen: TestHost? = nil,
    sourceLocation: SourceLocation = #_sourceLocation, _ body: (TestHost, String) throws -> Void
) throws {
    let host = try chosen ?? Integration.host
    let name = Integration.freshName()
    _ = try host.image(image)
    try expectNothingLeft(on: host, of: name, sourceLocation: sourceLocation) {
        do {
            try host.apus(["launch", try host.image(image), name] + options, limit: .seconds(180))
            try host.settle(image, name)
            try body(host, name)
        } catch {
            let daemon = text(of: host.log).suffix(2500)
            let log = try? host.apus("info", name, "--show-log", expecting: nil, limit: .seconds(10))
            _ = try? host.apus("delete", name, "--force", expecting: nil)
            throw Trouble(
                "\(error)\n--- apusd: \(daemon)\n--- log of \(name): \(log?.text.suffix(2500) ?? "")")
        }
        try host.apus("delete", name, "--force")
    }
}

/// Runs `body`, after which the host has to look as before, and nothing may be left of the container `name`.
func expectNothingLeft(
    on host: TestHost, of name: String, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws -> Void
) throws {
    let before = host.state
    defer {
        // The end of a process tree and of its cgroups is not one instant; ten seconds are plenty.
        try? eventually("the host to be clean") { host.state.added(since: before).isEmpty }
        #expect(host.state.added(since: before) == [], sourceLocation: sourceLocation)
        #expect(filesLeft(of: name, on: host) == [], sourceLocation: sourceLocation)
    }
    try body()
}

/// Files of a deleted container below APUS_DIR.
private func filesLeft(of name: String, on host: TestHost) -> [String] {
    var folders = ["runtime", "checkpoints", "logs", "backups"].map { "\(host.folder)/\($0)" }
    for pool in names(in: "\(host.folder)/storage-pools") {
        for kind in ["containers", "snapshots"] {
            folders.append("\(host.folder)/storage-pools/\(pool)/\(kind)")
        }
    }
    return folders.flatMap { folder in
        names(in: folder).filter { $0 == name || $0.hasPrefix(name + ".") || $0.contains(".\(name).") }
            .map { "\(folder)/\($0)" }
    }
}
