public import LinuxSystem

/// What went wrong in the runtime, in one plain sentence.
public struct RuntimeError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of failure.
    public enum Code: String, Sendable, Codable {
        /// The container could not be started.
        case startFailed
        /// The container could not be restored; it is as it was before.
        case restoreFailed
        /// Nobody answers at the control socket: the runtime has ended or was killed.
        case notRunning
        /// The runtime refused a request.
        case refused
        /// Something was said that is not in the protocol.
        case malformed
    }
    /// What kind of failure.
    public var code: Code
    /// What was being done, to what, and what to do next.
    public var message: String

    /// A failure.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The sentence.
    public var description: String { message }
}

/// Why a container's init is gone.
public enum InitEnd: Sendable, Hashable, Codable {
    /// The container shut itself down.
    case halted
    /// The container wants to be started again.
    case rebootRequested
    /// Init exited.
    case exited(Int32)
    /// Init was killed.
    case killed(Int32)

    /// From init's exit status: the kernel ends init of a pid namespace by SIGHUP on reboot(RESTART), by
    /// SIGINT on reboot(HALT) or (POWER_OFF).
    public init(_ status: ExitStatus) {
        switch status {
        case .signaled(1): self = .rebootRequested
        case .signaled(2): self = .halted
        case .signaled(let signal): self = .killed(signal)
        case .exited(let code): self = .exited(code)
        }
    }

    /// As `status.json` has it: `halted`, `reboot`, `exited 1`, `killed 9`.
    public var text: String {
        switch self {
        case .halted: "halted"
        case .rebootRequested: "reboot"
        case .exited(let code): "exited \(code)"
        case .killed(let signal): "killed \(signal)"
        }
    }

    /// From its text; nil if it is none.
    public init?(text: String) {
        let words = text.split(separator: " ")
        switch (words.first, words.dropFirst().first.flatMap { Int32($0) }) {
        case ("halted", nil): self = .halted
        case ("reboot", nil): self = .rebootRequested
        case ("exited", let code?): self = .exited(code)
        case ("killed", let signal?): self = .killed(signal)
        default: return nil
        }
    }

    /// Reads the text.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let end = InitEnd(text: try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an end of init")
        }
        self = end
    }

    /// Writes the text.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

/// What the runtime of a container says about itself; also written to `status.json`.
public struct RuntimeStatus: Sendable, Hashable, Codable {
    /// `running` or `ended`.
    public var isRunning: Bool
    /// The runtime's process.
    public var runtimePID: Int32
    /// Init, as the host sees it.
    public var initPID: Int32
    /// Ticks after boot when init was started (field 22 of /proc/<pid>/stat): tells a reused number.
    public var initStartTicks: UInt64
    /// Seconds since 1970 when this generation began.
    public var startedAt: Int64
    /// What kind of init it is.
    public var initKind: InitKind
    /// Sessions brought in by `exec` that have not ended.
    public var execSessions: Int
    /// Why init is gone, once it is.
    public var end: InitEnd?

    /// A status.
    public init(
        isRunning: Bool, runtimePID: Int32, initPID: Int32, initStartTicks: UInt64, startedAt: Int64,
        initKind: InitKind, execSessions: Int, end: InitEnd? = nil
    ) {
        self.isRunning = isRunning
        self.runtimePID = runtimePID
        self.initPID = initPID
        self.initStartTicks = initStartTicks
        self.startedAt = startedAt
        self.initKind = initKind
        self.execSessions = execSessions
        self.end = end
    }
}

/// A program to be executed inside a container.
public struct ExecRequest: Sendable {
    /// Program and arguments; without a `/` it is looked for in PATH inside.
    public var command: [String]
    /// Environment besides the container's own.
    public var environment: [String: String] = [:]
    /// User and group to run as, ids as inside.
    public var uid: UInt32 = 0
    /// Group.
    public var gid: UInt32 = 0
    /// Supplementary groups.
    public var groups: [UInt32] = []
    /// Working directory; nil is `/root` for root, else `/`.
    public var directory: String?
    /// Where its input comes from and its output goes.
    public var io: ExecIO

    /// A program run as root.
    public init(_ command: [String], io: ExecIO) {
        self.command = command
        self.io = io
    }
}

/// Input and output of an executed program.
public enum ExecIO: Sendable {
    /// A new pseudo terminal of the container; the session's `terminal` is its master.
    case terminal(rows: UInt16, columns: UInt16)
    /// These descriptors.
    case streams(input: FileDescriptor, output: FileDescriptor, error: FileDescriptor)
}

/// A program that could not be executed inside.
public struct ExecFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// What a shell would exit with: 127 if there is no such program, 126 if it cannot be executed.
    public var shellCode: Int32
    /// One plain sentence.
    public var message: String

    /// The sentence.
    public var description: String { message }
}
