/// Something about a network that failed: what was being done, to what, and why.
public struct NetworkingError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One sentence.
    public let description: String

    /// An error.
    public init(_ description: String) { self.description = description }
}
