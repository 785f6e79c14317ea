/// What `POST /1.0/moves/<id>/verdict` takes: one end of a live move asks the other who owns the container.
public struct MoveVerdictPost: Codable, Sendable, Equatable {
    /// The move's secret, which only its two ends know.
    @Defaulted public var secret: String
    /// Whether the container has ended on the side that asks, which will not ask again.
    @Defaulted public var ended: Bool

    /// A question.
    public init(secret: String, ended: Bool = false) {
        self.secret = secret
        self.ended = ended
    }
}

/// The answer.
public struct MoveVerdictReply: Codable, Sendable, Equatable {
    /// "moved": the container is the sink's; "stayed": it never ran there, and never will; empty: not decided yet, ask
    /// again.
    @Defaulted public var verdict: String

    /// An answer.
    public init(verdict: String) { self.verdict = verdict }
}
