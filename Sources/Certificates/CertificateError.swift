/// What is wrong with a certificate or an identity, and what to do about it.
public struct CertificateError: Error, Sendable, CustomStringConvertible {
    /// The kinds of failure callers tell apart.
    public enum Code: String, Sendable {
        /// Not a certificate, or a damaged one.
        case unreadable
        /// Its time has passed, or has not come.
        case expired
        /// The files of an identity do not belong together, or one is missing.
        case broken
    }

    /// The kind of failure.
    public let code: Code
    /// The sentence for the user.
    public let message: String

    /// A failure.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The sentence for the user.
    public var description: String { message }
}
