public import ContainerRuntime

/// How a checkpoint is made.
public struct CheckpointOptions: Sendable {
    /// The container runs on afterwards; otherwise its processes are killed when everything is saved.
    public var leaveRunning: Bool
    /// Where the whole log of CRIU goes: `logs/<name>/criu-dump-<time>.log`.
    public var logFile: String
    /// How much CRIU logs. More costs time in which the container stands still.
    public var verboseLog: Bool
    /// How often a dump is tried again when something passing was in the way.
    public var attempts: Int
    /// May change settings of the host for the time of the dump (see `HostTuning`), which shortens it.
    public var mayTuneHost: Bool

    /// Makes options.
    public init(
        leaveRunning: Bool, logFile: String, verboseLog: Bool = false, attempts: Int = 8,
        mayTuneHost: Bool = true
    ) {
        self.leaveRunning = leaveRunning
        self.logFile = logFile
        self.verboseLog = verboseLog
        self.attempts = attempts
        self.mayTuneHost = mayTuneHost
    }
}

/// How far a checkpoint has come.
public enum CheckpointProgress: Sendable, Hashable {
    /// Looking for what cannot be saved.
    case preflight
    /// The tasks are being stopped and saved; the first try is 1.
    case dumping(attempt: Int)
    /// The tasks are saved and the files are being snapshotted.
    case snapshotting
    /// The tasks are saved, and the container is being handed over to another machine.
    case handingOver
    /// The container runs again (or has ended); the images are being summed up.
    case sealing
}

/// What came of a checkpoint.
public struct CheckpointResult: Sendable {
    /// What was recorded.
    public let record: CheckpointRecord
    /// How long the tasks stood still, in microseconds, as CRIU measured it.
    public let frozenMicroseconds: UInt32
    /// How many tries it took.
    public let attempts: Int
}
