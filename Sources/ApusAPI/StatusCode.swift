/// LXD's numbers for the states of operations and instances.
public enum StatusCode: Int, Sendable, Codable, Defaultable {
    /// An operation was created.
    case operationCreated = 100
    /// Started.
    case started = 101
    /// An instance does not run.
    case stopped = 102
    /// Runs.
    case running = 103
    /// An operation is being cancelled.
    case cancelling = 104
    /// An operation has not begun.
    case pending = 105
    /// Starting.
    case starting = 106
    /// Stopping.
    case stopping = 107
    /// Aborting.
    case aborting = 108
    /// Freezing.
    case freezing = 109
    /// An instance is frozen.
    case frozen = 110
    /// Thawed.
    case thawed = 111
    /// Something is wrong with an instance.
    case error = 112
    /// Done.
    case success = 200
    /// An operation failed.
    case failure = 400
    /// An operation was cancelled.
    case cancelled = 401

    /// A code that no one has set yet.
    public static var apiDefault: StatusCode { .operationCreated }

    /// LXD's word for it.
    public var text: String {
        switch self {
        case .operationCreated: "Operation created"
        case .started: "Started"
        case .stopped: "Stopped"
        case .running: "Running"
        case .cancelling: "Cancelling"
        case .pending: "Pending"
        case .starting: "Starting"
        case .stopping: "Stopping"
        case .aborting: "Aborting"
        case .freezing: "Freezing"
        case .frozen: "Frozen"
        case .thawed: "Thawed"
        case .error: "Error"
        case .success: "Success"
        case .failure: "Failure"
        case .cancelled: "Cancelled"
        }
    }

    /// Whether an operation in this state has ended.
    public var isFinal: Bool { rawValue >= 200 }
}
