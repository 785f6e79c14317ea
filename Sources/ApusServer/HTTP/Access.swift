/// How far a client is trusted, and how far a route asks it to be. A route that does not say is for the trusted.
enum Access: Int, Sendable, Comparable {
    /// Whoever reaches the port. What such a route gives to strangers it has to decide itself.
    case anyone
    /// Clients whose certificate is in the trust store, and everybody on the socket.
    case trusted
    /// Those on the socket alone.
    case local

    static func < (left: Access, right: Access) -> Bool { left.rawValue < right.rawValue }
}
