/// Why a service refused or failed: what was being done, to what, and what to do next.
public struct ServiceError: Error, Sendable, CustomStringConvertible {
    /// The kind of failure; its raw value is the HTTP status that the API answers.
    public enum Code: Int, Sendable {
        /// The request makes no sense.
        case badRequest = 400
        /// Not allowed.
        case forbidden = 403
        /// There is no such thing.
        case notFound = 404
        /// It exists already, or is busy.
        case conflict = 409
        /// It was changed meanwhile.
        case preconditionFailed = 412
        /// The request is larger than the daemon takes.
        case tooLarge = 413
        /// It was tried too often.
        case tooManyRequests = 429
        /// Something went wrong here.
        case `internal` = 500
        /// Not part of this version.
        case notImplemented = 501
        /// The daemon is starting or ending.
        case unavailable = 503
    }

    /// The kind of failure.
    public var code: Code
    /// The sentence for the user.
    public var message: String

    /// A failure.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The sentence for the user.
    public var description: String { message }

    /// A request that makes no sense.
    public static func badRequest(_ message: String) -> ServiceError { ServiceError(.badRequest, message) }
    /// There is no such thing.
    public static func notFound(_ message: String) -> ServiceError { ServiceError(.notFound, message) }
    /// It exists already, or is busy.
    public static func conflict(_ message: String) -> ServiceError { ServiceError(.conflict, message) }
    /// Something went wrong here.
    public static func failure(_ message: String) -> ServiceError { ServiceError(.internal, message) }
    /// Whoever asks may not; why is not said.
    public static let notAuthorized = ServiceError(.forbidden, "not authorized")
    /// The work was cancelled by a user.
    public static let cancelled = ServiceError(.badRequest, "The operation was cancelled")

    /// The sentence for any error.
    public static func text(of error: any Error) -> String {
        if error is CancellationError { return cancelled.message }
        return String(describing: error)
    }
}
