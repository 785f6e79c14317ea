/// Why a checkpoint could not be made or used, in words for the person who asked for it.
public struct CheckpointError: Error, Sendable, CustomStringConvertible {
    /// The kinds of failure a caller may want to tell apart.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The name of the kind, as it appears in logs.
        public let description: String

        /// The container holds something that cannot be saved; nothing was stopped.
        public static let notCheckpointable = Code(description: "notCheckpointable")
        /// The dump failed; the container runs on.
        public static let dumpFailed = Code(description: "dumpFailed")
        /// CRIU died and took the life of processes with it: the container must not go on as it is.
        public static let tasksHarmed = Code(description: "tasksHarmed")
        /// The caller's closure (the snapshot of the files) failed; the container runs on.
        public static let snapshotFailed = Code(description: "snapshotFailed")
        /// The caller's exchange with the other machine failed before it was decided; the container runs on.
        public static let handOverFailed = Code(description: "handOverFailed")
        /// A hand-over was decided, and failed afterwards. The container stands still, and its owner has to find out
        /// where it is to run: here (`Checkpointer.recover`), or elsewhere (`RuntimeCleanup`).
        public static let inDoubt = Code(description: "inDoubt")
        /// The checkpoint was made for another kind of machine.
        public static let incompatible = Code(description: "incompatible")
        /// Files of the checkpoint are missing, new or changed.
        public static let altered = Code(description: "altered")
        /// Something else in the system failed.
        public static let system = Code(description: "system")
    }

    /// The kind of failure.
    public let code: Code
    /// What was being done, to what, why it failed and what to do next.
    public let message: String
    /// Everything found, for `notCheckpointable`.
    public let findings: [CheckpointFinding]
    /// The full log of CRIU, where there is one.
    public let logFile: String?
    /// The error behind it.
    public let underlying: (any Error)?

    /// Makes an error.
    public init(
        _ code: Code, _ message: String, findings: [CheckpointFinding] = [], logFile: String? = nil,
        underlying: (any Error)? = nil
    ) {
        self.code = code
        self.message = message
        self.findings = findings
        self.logFile = logFile
        self.underlying = underlying
    }

    /// The message.
    public var description: String { message }
}

/// A reason why a container cannot be checkpointed (or would not come back).
public struct CheckpointFinding: Sendable, Hashable, Codable, CustomStringConvertible {
    /// How bad it is.
    public enum Level: String, Sendable, Codable {
        /// A checkpoint is refused.
        case blocks
        /// A checkpoint may fail as long as it lasts, and is tried all the same.
        case transient
    }

    /// The name of the rule that found it: `io-uring`.
    public let id: String
    /// How bad it is.
    public let level: Level
    /// The systemd unit of the process, if it has one.
    public let unit: String?
    /// The process that holds the object, by its number inside the container; nil: the container as a whole.
    public let pid: Int32?
    /// The name of the process.
    public let process: String?
    /// What it holds: `an io_uring ring open`.
    public let object: String
    /// Why that is in the way: `CRIU cannot save those`.
    public let reason: String
    /// What to do: `stop it, or take a snapshot of the files only`.
    public let advice: String

    /// Makes a finding.
    public init(
        id: String, level: Level = .blocks, pid: Int32? = nil, process: String? = nil, unit: String? = nil,
        object: String, reason: String, advice: String
    ) {
        self.id = id
        self.level = level
        self.unit = unit
        self.pid = pid
        self.process = process
        self.object = object
        self.reason = reason
        self.advice = advice
    }

    /// One sentence: `process 412 (qemu) has an io_uring ring open; CRIU cannot save those. Stop it, or …`.
    public var description: String {
        let holder: String
        switch (pid, process) {
        case (let pid?, let process?): holder = "process \(pid) (\(process)) "
        case (let pid?, nil): holder = "process \(pid) "
        default: holder = ""
        }
        return "\(holder)\(object); \(reason). \(advice)"
    }
}
