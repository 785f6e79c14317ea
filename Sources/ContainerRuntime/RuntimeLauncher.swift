import FoundationEssentials
import Glibc
import LinuxSystem

/// Starts and restores containers, each under an `apus-runtime` of its own that outlives this process.
public struct RuntimeLauncher: Sendable {
    /// The path of the program `apus-runtime`.
    public var program: String

    /// A launcher that uses this program.
    public init(program: String) { self.program = program }

    /// Starts a container; returns when its init has been executed. On failure nothing is left behind.
    public func start(_ spec: ContainerSpec) async throws -> RuntimeStatus {
        try await withRollback { rollback in
            let launch = try prepare(spec, verb: "start", rollback)
            return try await launch.finish(.startFailed, "start")
        }
    }

    /// Restores a container from a checkpoint and holds it: its processes are there but do not run yet.
    /// On failure nothing is left behind.
    public func restore(_ spec: ContainerSpec, _ options: RestoreOptions) async throws -> HeldRestore {
        try await prepareRestore(spec).restore(options)
    }

    /// Does of a restore what needs no checkpoint: control groups, mounts, CRIU's start. On failure nothing is left
    /// behind. The root file system may still change, or come, until the restore itself.
    public func prepareRestore(_ spec: ContainerSpec) async throws -> PreparedRestore {
        try await withRollback { rollback in
            let launch = try prepare(spec, verb: "restore", rollback)
            guard case .prepared = try await launch.next(.restoreFailed, "restore") else {
                throw RuntimeError(
                    .malformed, "apus-runtime said something unexpected while preparing \(spec.name)")
            }
            rollback.disarm()
            return PreparedRestore(launch: launch)
        }
    }

    private func prepare(_ spec: ContainerSpec, verb: String, _ rollback: Rollback) throws -> Launch {
        try Files.makeDirectories(spec.runtimeDirectory, mode: spec.isPrivileged ? 0o700 : 0o711)
        rollback.add { try await RuntimeCleanup.remove(spec) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try Files.write(spec.specFile, Array(try encoder.encode(spec)))
        let log = try FileDescriptor.open(spec.logFile, O_WRONLY | O_CREAT | O_APPEND, mode: 0o600)
        let (ours, theirs) = try UnixSocket.pair(.seqpacket)
        let arguments = [program, verb, "--spec", spec.specFile, "--status-fd", "3"]
        let child = try Spawn(arguments, fds: [1: log, 2: log, 3: theirs], directory: "/")
            .configured { $0.newSession = true }
            .start()
        theirs.close()
        let launch = Launch(spec: spec, process: child, channel: ours)
        rollback.add { try await launch.giveUp() }
        // Somebody has to wait for it, whenever it ends.
        Task.detached { _ = try? await child.waitForExit() }
        return launch
    }
}

/// One `apus-runtime` on its way up.
struct Launch: Sendable {
    let spec: ContainerSpec
    let process: ProcessDescriptor
    let channel: FileDescriptor

    func send(_ command: LaunchCommand) throws { try channel.send([command.rawValue]) }

    /// Has it clean up behind itself and end, unless it is stuck.
    func giveUp() async throws {
        channel.close()
        if try await !process.waitForEnd(milliseconds: 3000) { process.signal(SIGKILL) }
    }

    /// The next message; a failure, or the end of the runtime, is thrown.
    func next(_ code: RuntimeError.Code, _ verb: String) async throws -> LaunchMessage {
        try await channel.readable()
        let bytes = (try? WireSocket.receive(on: channel, wait: false))?.bytes
        guard let bytes else {
            try? await process.waitUntilGone()
            throw RuntimeError(
                code, "cannot \(verb) \(spec.name): apus-runtime ended unexpectedly; see \(spec.logFile)")
        }
        let message = try LaunchMessage(decoding: bytes)
        if case .failed(let reason) = message {
            // It cleans up behind itself before it goes.
            try? await process.waitUntilGone()
            throw RuntimeError(code, "cannot \(verb) \(spec.name): \(reason)")
        }
        return message
    }

    func finish(
        _ code: RuntimeError.Code, _ verb: String, reachable: () async -> Void = {}
    ) async throws -> RuntimeStatus {
        while true {
            switch try await next(code, verb) {
            case .reachable: await reachable()
            case .running(let status): return status
            default:
                throw RuntimeError(.malformed, "apus-runtime said something unexpected about \(spec.name)")
            }
        }
    }
}

/// What the launcher tells a runtime that restores a container.
enum LaunchCommand: UInt8 {
    case commit = 1
    case abort = 2
    /// Followed by `RestoreOptions`.
    case restore = 3
}

/// What a runtime tells its launcher.
package enum LaunchMessage: Equatable {
    case running(RuntimeStatus)
    case held(initPID: Int32)
    case failed(String)
    case prepared
    /// Packets can come to what is restored; it runs any moment now.
    case reachable

    package func encoded() -> [UInt8] {
        var out = WireWriter()
        switch self {
        case .running(let status):
            out.byte(1)
            out.data(ControlReply.status(status).encoded())
        case .held(let pid):
            out.byte(2)
            out.int32(pid)
        case .failed(let reason):
            out.byte(3)
            out.text(reason)
        case .prepared: out.byte(4)
        case .reachable: out.byte(5)
        }
        return out.bytes
    }

    package init(decoding bytes: [UInt8]) throws {
        var input = WireReader(bytes)
        switch try input.byte() {
        case 1:
            guard case .status(let status) = try ControlReply(decoding: try input.data()) else {
                throw WireReader.malformed
            }
            self = .running(status)
        case 2: self = .held(initPID: try input.int32())
        case 3: self = .failed(try input.text())
        case 4: self = .prepared
        case 5: self = .reachable
        default: throw WireReader.malformed
        }
        try input.end()
    }
}
