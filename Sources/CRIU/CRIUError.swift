/// What went wrong while talking to CRIU: what was being done, why it failed, and the end of CRIU's log.
public struct CRIUError: Error, Sendable, CustomStringConvertible {
    /// The kinds of failure a caller may want to tell apart.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The name of the kind, as it appears in logs.
        public let description: String

        /// No CRIU was found on this machine.
        public static let notInstalled = Code(description: "notInstalled")
        /// CRIU could not be started, or a system call around it failed.
        public static let system = Code(description: "system")
        /// CRIU went away (or was killed) before it answered.
        public static let connectionClosed = Code(description: "connectionClosed")
        /// A message could not be understood.
        public static let protocolViolation = Code(description: "protocolViolation")
        /// CRIU answered that it could not do what was asked.
        public static let refused = Code(description: "refused")
        /// A notification handler of the caller threw; `underlying` is what it threw.
        public static let handlerFailed = Code(description: "handlerFailed")
        /// An image file is damaged, truncated or not what its name says.
        public static let badImage = Code(description: "badImage")
    }

    /// The kind of failure.
    public let code: Code
    /// What was being done, to what, and what came of it.
    public let message: String
    /// The error number CRIU reported, when it did.
    public let errnoCode: Int32?
    /// The last error and warning lines of CRIU's log, oldest first.
    public let logLines: [String]
    /// The error of the caller's own handler, for `handlerFailed`.
    public let underlying: (any Error)?

    /// Makes an error.
    public init(
        _ code: Code, _ message: String, errnoCode: Int32? = nil, logLines: [String] = [],
        underlying: (any Error)? = nil
    ) {
        self.code = code
        self.message = message
        self.errnoCode = errnoCode
        self.logLines = logLines
        self.underlying = underlying
    }

    /// The message, followed by the last line of CRIU's log where there is one.
    public var description: String {
        guard let last = logLines.last else { return message }
        return "\(message): \(last)"
    }
}
