/// Why a move did not come about, in a sentence for users.
public struct MigrationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of trouble it is.
    public enum Code: Sendable, Hashable {
        /// The other side sent what is no message of the protocol, or one that has no place here.
        case protocolViolation
        /// The other side gave up.
        case peerFailed
        /// The connection ended before all was said.
        case connectionLost
        /// The other side does not want the container.
        case refused
    }

    /// What kind of trouble it is.
    public var code: Code
    /// The sentence.
    public var message: String

    /// An error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The sentence.
    public var description: String { message }
}
