/// Something that happened, as the websocket `/1.0/events` sends it.
public struct Event: Codable, Sendable, Equatable {
    /// "operation", "lifecycle" or "logging".
    @Defaulted public var type: String
    /// When.
    @Defaulted public var timestamp: Timestamp
    /// What: an `Operation`, an `EventLifecycle` or an `EventLogging`.
    public var metadata: JSONValue?
    /// Always "none": there are no clusters.
    @Defaulted public var location: String
    /// Always "default".
    @Defaulted public var project: String

    /// An event.
    public init(type: String, timestamp: Timestamp, metadata: JSONValue?) {
        self.type = type
        self.timestamp = timestamp
        self.metadata = metadata
        location = "none"
        project = "default"
    }
}

/// A change in something's life.
public struct EventLifecycle: Codable, Sendable, Equatable {
    /// Such as "instance-created".
    @Defaulted public var action: String
    /// The URL of what changed.
    @Defaulted public var source: String
    /// Details.
    public var context: JSONValue?

    /// A change.
    public init(action: String, source: String, context: JSONValue? = nil) {
        self.action = action
        self.source = source
        self.context = context
    }
}

/// A line of the daemon's log.
public struct EventLogging: Codable, Sendable, Equatable {
    /// The text.
    @Defaulted public var message: String
    /// "debug", "info", "warning" or "error".
    @Defaulted public var level: String
    /// What the line is about.
    @Defaulted public var context: [String: String]

    /// A line.
    public init(message: String, level: String, context: [String: String]) {
        self.message = message
        self.level = level
        self.context = context
    }
}
