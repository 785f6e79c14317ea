/// The exec and console sessions of all containers, so that they can be told when a container goes away.
actor SessionRegistry {
    private var sessions: [String: [Int: any Session]] = [:]
    private var next = 0

    /// Takes note of a session; returns the number to remove it by.
    func add(_ session: any Session, of container: String) -> Int {
        next += 1
        sessions[container, default: [:]][next] = session
        return next
    }

    /// Forgets a session that has ended.
    func remove(_ number: Int, of container: String) { sessions[container]?[number] = nil }

    /// Tells all sessions of a container why they end, and ends them.
    func end(_ container: String, why: String) async {
        for session in (sessions[container] ?? [:]).values { await session.end(why: why) }
    }

    /// Forgets all sessions of a container that has ended.
    func forget(_ container: String) { sessions[container] = nil }

    /// How many sessions a container has.
    func count(_ container: String) -> Int { sessions[container]?.count ?? 0 }
}

/// A user's way into a container, as the registry knows it.
protocol Session: Sendable {
    /// Tells the user why the session ends, and ends it.
    func end(why: String) async
}
