/// What the source of a move writes down before it goes on, so that a daemon killed at any moment knows what it owns.
public enum SourceJournal: String, Sendable, Hashable, Codable, CaseIterable {
    /// The container is this host's, whatever the other side says.
    case undecided
    /// The sink may have taken it over: only the sink knows. The container stays fenced until it has answered.
    case committing
    /// The sink has it: what is left here is to be ended.
    case moved
}

/// What the sink of a move writes down.
public enum SinkJournal: String, Sendable, Hashable, Codable, CaseIterable {
    /// Nothing here counts: what has been received is removed.
    case receiving
    /// The source has let go. From here on the container is this host's, if it lives.
    case committed
    /// As `committed`, but its memory comes after it: it never goes back to the source from here on.
    case filling
    /// It has run here, with all its memory.
    case resumed
    /// It was to run here, or has, and not all of its memory has come: it has ended.
    case lost
}

/// The sink's answer to the question who owns the container.
public enum MoveVerdict: String, Sendable, Hashable, Codable, CaseIterable {
    /// It lives, or has lived, on the sink.
    case moved
    /// It never ran on the sink, and never will.
    case stayed
}
