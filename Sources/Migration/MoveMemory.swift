/// How the memory of a container moves.
public enum MoveMemory: String, Sendable, Hashable, Codable, CaseIterable {
    /// While it stands still.
    case stopCopy = "stop-copy"
    /// After it has gone on at the sink, which needs both hosts until the last page has come.
    case postCopy = "post-copy"
}
