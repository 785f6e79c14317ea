/// What stands in the way of saving a container's running state: `POST /1.0/instances/<name>/checkpoint-check`.
public struct CheckpointCheck: Codable, Sendable, Equatable {
    /// Whether it can be saved, as far as can be seen.
    @Defaulted public var possible: Bool
    /// How many processes were looked at.
    @Defaulted public var processes: Int
    /// How long that took, in microseconds.
    @Defaulted public var tookMicroseconds: Int64
    /// What was found.
    @Defaulted public var findings: [CheckpointCheckFinding]

    enum CodingKeys: String, CodingKey {
        case possible, processes, findings
        case tookMicroseconds = "took_us"
    }

    /// A check.
    public init(possible: Bool, processes: Int, tookMicroseconds: Int64, findings: [CheckpointCheckFinding]) {
        self.possible = possible
        self.processes = processes
        self.tookMicroseconds = tookMicroseconds
        self.findings = findings
    }
}

/// One thing that was found.
public struct CheckpointCheckFinding: Codable, Sendable, Equatable {
    /// The name of the rule: `io-uring`; see `GET /1.0/checkpoint-rules`.
    @Defaulted public var id: String
    /// "blocks", or "transient": it may pass, and is tried all the same.
    @Defaulted public var level: String
    /// The process, by its number in the container; 0: the container as a whole.
    @Defaulted public var pid: Int64
    /// Its name.
    @Defaulted public var process: String
    /// The systemd unit that it belongs to.
    @Defaulted public var unit: String
    /// What it has: `has an io_uring ring open`.
    @Defaulted public var object: String
    /// Why that is in the way.
    @Defaulted public var reason: String
    /// What to do.
    @Defaulted public var advice: String

    /// Nothing yet.
    public init() {}
}

/// One thing that is looked for before a checkpoint: `GET /1.0/checkpoint-rules`.
public struct CheckpointCheckRule: Codable, Sendable, Equatable {
    /// Its name: `io-uring`.
    @Defaulted public var id: String
    /// "blocks" or "transient".
    @Defaulted public var level: String
    /// What it is.
    @Defaulted public var title: String
    /// Why it is in the way.
    @Defaulted public var reason: String
    /// What to do.
    @Defaulted public var advice: String

    /// A rule.
    public init(id: String, level: String, title: String, reason: String, advice: String) {
        self.id = id
        self.level = level
        self.title = title
        self.reason = reason
        self.advice = advice
    }
}
