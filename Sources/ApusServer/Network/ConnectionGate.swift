import ApusCore
import Certificates
import Synchronization

/// Knows all connections over the network. Strangers get so many and no more, so that they cannot use up what the daemon
/// has; and those of a client that is trusted no longer are found and ended.
final class ConnectionGate: Sendable {
    /// How many connections strangers may have at once.
    struct Limits: Sendable {
        /// That have not finished their handshake, from all of them.
        var handshakes = 256
        /// The same, from one of them.
        var handshakesEach = 32
        /// That have, from all of them.
        var strangers = 512
        /// The same, from one of them.
        var strangersEach = 64
    }

    private enum Stage { case handshake, stranger, known }

    private struct Counter {
        private(set) var total = 0
        private(set) var each: [String: Int] = [:]

        mutating func add(_ peer: String, limit: Int, limitEach: Int) -> Bool {
            guard total < limit, each[peer, default: 0] < limitEach else { return false }
            total += 1
            each[peer, default: 0] += 1
            return true
        }

        mutating func remove(_ peer: String) {
            total -= 1
            each[peer, default: 1] -= 1
            if each[peer] == 0 { each[peer] = nil }
        }
    }

    private struct Entry {
        let connection: ClientConnection
        let peer: String
        var stage: Stage
    }

    private struct State {
        var entries: [ObjectIdentifier: Entry] = [:]
        var handshakes = Counter()
        var strangers = Counter()
    }

    private let limits: Limits
    private let state = Mutex(State())

    init(limits: Limits = Limits()) { self.limits = limits }

    /// Lets a new connection in.
    /// - Returns: false if there are too many that have not finished their handshake.
    func admit(_ connection: ClientConnection) -> Bool {
        let peer = PeerAddress.group(of: connection.address ?? "")
        return state.withLock { state in
            guard state.handshakes.add(peer, limit: limits.handshakes, limitEach: limits.handshakesEach)
            else { return false }
            state.entries[ObjectIdentifier(connection)] = Entry(
                connection: connection, peer: peer, stage: .handshake)
            return true
        }
    }

    /// The handshake of a connection is done.
    /// - Returns: false if it is a stranger's, and there are too many of those.
    func handshakeDone(_ connection: ClientConnection) -> Bool {
        let isStranger = connection.access == .anyone
        return state.withLock { state in
            guard var entry = state.entries[ObjectIdentifier(connection)], entry.stage == .handshake else {
                return true
            }
            state.handshakes.remove(entry.peer)
            entry.stage = .known
            if isStranger {
                guard
                    state.strangers.add(
                        entry.peer, limit: limits.strangers, limitEach: limits.strangersEach)
                else {
                    state.entries[ObjectIdentifier(connection)] = nil
                    return false
                }
                entry.stage = .stranger
            }
            state.entries[ObjectIdentifier(connection)] = entry
            return true
        }
    }

    /// A stranger has shown that it knows a secret, and does not count as one any more.
    func vouch(for connection: ClientConnection) {
        state.withLock { state in
            guard var entry = state.entries[ObjectIdentifier(connection)], entry.stage == .stranger else {
                return
            }
            state.strangers.remove(entry.peer)
            entry.stage = .known
            state.entries[ObjectIdentifier(connection)] = entry
        }
    }

    /// A connection has ended.
    func forget(_ connection: ClientConnection) {
        state.withLock { state in
            guard let entry = state.entries.removeValue(forKey: ObjectIdentifier(connection)) else { return }
            switch entry.stage {
            case .handshake: state.handshakes.remove(entry.peer)
            case .stranger: state.strangers.remove(entry.peer)
            case .known: break
            }
        }
    }

    /// Ends all connections of a certificate. The one that asked for it hears the answer first.
    func end(certificate fingerprint: String) {
        let connections = state.withLock { $0.entries.values.map(\.connection) }
        for connection in connections where connection.certificate?.fingerprint == fingerprint {
            if connection === ClientConnection.current {
                connection.endAfterReply()
            } else {
                connection.endNow()
            }
        }
    }
}
