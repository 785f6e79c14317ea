/// The envelope of every JSON reply.
public struct Response<Metadata: Codable & Sendable>: Codable, Sendable {
    /// "sync", "async" or "error".
    @Defaulted public var type: String
    /// The word for `statusCode`.
    @Defaulted public var status: String
    /// 200 for a sync reply, 100 for an async one.
    @Defaulted public var statusCode: Int
    /// The operation's URL in an async reply.
    @Defaulted public var operation: String
    /// The HTTP status of an error, else 0.
    @Defaulted public var errorCode: Int
    /// What went wrong, else empty.
    @Defaulted public var error: String
    /// What was asked for.
    public var metadata: Metadata?

    enum CodingKeys: String, CodingKey {
        case type, status, operation, error, metadata
        case statusCode = "status_code"
        case errorCode = "error_code"
    }

    /// An answer at once.
    public static func sync(_ metadata: Metadata?) -> Response {
        var response = Response()
        response.type = "sync"
        response.status = StatusCode.success.text
        response.statusCode = StatusCode.success.rawValue
        response.metadata = metadata
        return response
    }

    /// An answer that comes later, through an operation.
    public static func async(_ operation: String, _ metadata: Metadata?) -> Response {
        var response = Response()
        response.type = "async"
        response.status = StatusCode.operationCreated.text
        response.statusCode = StatusCode.operationCreated.rawValue
        response.operation = operation
        response.metadata = metadata
        return response
    }

    /// A refusal.
    public static func error(_ code: Int, _ text: String) -> Response {
        var response = Response()
        response.type = "error"
        response.errorCode = code
        response.error = text
        return response
    }

    private init() {}

    /// Writes LXD's shape: `metadata` is there even when it is null.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(type, forKey: .type)
        try container.encode(status, forKey: .status)
        try container.encode(statusCode, forKey: .statusCode)
        try container.encode(operation, forKey: .operation)
        try container.encode(errorCode, forKey: .errorCode)
        try container.encode(error, forKey: .error)
        try container.encode(metadata, forKey: .metadata)
    }
}

/// Nothing, where a reply has no metadata.
public struct Empty: Codable, Sendable, Equatable {
    /// Nothing.
    public init() {}
}
