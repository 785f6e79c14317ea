/// What is wrong with an image, or with the way it was handled: a code to decide by, and a sentence for the
/// user.
public struct ImageError: Error, Sendable, CustomStringConvertible {
    /// The kinds of failure callers tell apart.
    public enum Code: String, Sendable {
        /// No image has that fingerprint, or no recipe that alias.
        case notFound
        /// The store holds that image already.
        case alreadyExists
        /// The file is not an image, or is damaged.
        case invalid
        /// The file's fingerprint is not the one that was announced.
        case fingerprintMismatch
        /// The image holds an entry that would reach outside its own directory.
        case hostile
        /// The image is larger than what is allowed, or than what the disk can take.
        case tooLarge
        /// A program that builds images failed or is not installed.
        case buildFailed
        /// Any other refusal of the operating system.
        case system
    }

    /// The kind of failure.
    public let code: Code
    /// What was being done, to what, and what to do next.
    public let message: String

    /// An error with a message that stands for itself.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
