/// Work in the background.
public struct Operation: Codable, Sendable, Equatable {
    /// Its UUID.
    @Defaulted public var id: String
    /// "task", "websocket" or "token".
    @Defaulted public var `class`: String
    /// What it does, in LXD's words.
    @Defaulted public var description: String
    /// When it was created.
    @Defaulted public var createdAt: Timestamp
    /// When it last changed.
    @Defaulted public var updatedAt: Timestamp
    /// The word for `statusCode`.
    @Defaulted public var status: String
    /// Pending, running, success, failure, cancelled.
    @Defaulted public var statusCode: Int
    /// URLs of what it works on, by kind.
    public var resources: [String: [String]]?
    /// What it has to tell: websocket secrets, progress, exit codes.
    public var metadata: JSONValue?
    /// Whether DELETE stops it.
    @Defaulted public var mayCancel: Bool
    /// Why it failed.
    @Defaulted public var err: String
    /// Always "none": there are no clusters.
    @Defaulted public var location: String

    enum CodingKeys: String, CodingKey {
        case id, description, status, resources, metadata, err, location
        case `class` = "class"
        case createdAt = "created_at"
        case updatedAt = "updated_at"
        case statusCode = "status_code"
        case mayCancel = "may_cancel"
    }

    /// An empty operation.
    public init() { location = "none" }

    /// Its state as one of the known codes.
    public var state: StatusCode { StatusCode(rawValue: statusCode) ?? .error }

    /// Writes LXD's shape: `resources` and `metadata` are there even when they are null.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(`class`, forKey: .class)
        try container.encode(description, forKey: .description)
        try container.encode(createdAt, forKey: .createdAt)
        try container.encode(updatedAt, forKey: .updatedAt)
        try container.encode(status, forKey: .status)
        try container.encode(statusCode, forKey: .statusCode)
        try container.encode(resources, forKey: .resources)
        try container.encode(metadata, forKey: .metadata)
        try container.encode(mayCancel, forKey: .mayCancel)
        try container.encode(err, forKey: .err)
        try container.encode(location, forKey: .location)
    }
}

/// What an operation says about its progress, as `metadata.apus_work` (and, as text, as `metadata.work_progress`).
public struct OperationProgress: Codable, Sendable, Equatable {
    /// What is being done now, for people.
    @Defaulted public var stage: String
    /// How far it is, 0…100; null if no one can know.
    public var percent: Int?
    /// Bytes done so far, where bytes are what counts.
    public var bytesDone: Int64?
    /// Bytes in all, where that is known.
    public var bytesTotal: Int64?

    enum CodingKeys: String, CodingKey {
        case stage, percent
        case bytesDone = "bytes_done"
        case bytesTotal = "bytes_total"
    }

    /// In one line: "Copying files: 40%".
    public var text: String { percent.map { "\(stage): \($0)%" } ?? stage }

    /// A stage.
    public init(stage: String, percent: Int? = nil) {
        self.stage = stage
        self.percent = percent
    }
}
