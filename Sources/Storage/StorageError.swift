/// What went wrong in a storage pool: a code to decide by, and a sentence for the user.
public struct StorageError: Error, Sendable, CustomStringConvertible {
    /// The kinds of failure callers tell apart.
    public enum Code: String, Sendable {
        /// The volume does not exist.
        case notFound
        /// A volume of that name exists already.
        case alreadyExists
        /// A volume's name cannot be used as one.
        case invalidName
        /// The file system that holds the pool is full, or out of inodes or quota.
        case noSpace
        /// Files changed so much while they were read that no consistent copy could be made.
        case unstable
        /// A session or staged volume was used after it had ended.
        case ended
        /// The pool's source is not there.
        case unavailable
        /// This driver, or this machine, cannot do that.
        case unsupported
        /// Any other refusal of the operating system.
        case system
    }

    /// The kind of failure.
    public let code: Code
    /// What was being done, to what, and what to do next.
    public let message: String
    /// The errno behind it, or 0.
    public let errno: Int32

    /// An error with a message that stands for itself.
    public init(_ code: Code, _ message: String, errno: Int32 = 0) {
        self.code = code
        self.message = message
        self.errno = errno
    }

    /// The message.
    public var description: String { message }
}
