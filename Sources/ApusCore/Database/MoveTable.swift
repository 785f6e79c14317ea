public import ApusAPI
import GRDB
public import Migration

/// A live move under way, as the database keeps it: what a daemon has to know that was killed in the middle.
public struct MoveRecord: Sendable, Equatable {
    /// Which end of the move this daemon is.
    public enum Role: Sendable, Equatable {
        case source(SourceJournal)
        case sink(SinkJournal)
    }

    /// The move's id, the same on both ends.
    public var id: String
    /// Which end this is, and how far it has come.
    public var role: Role
    /// The container.
    public var container: String
    /// Who asks about the move has to know it.
    public var secret: String
    /// The other end.
    public var peer: MovePeerAddress
    /// Whether the source's container is deleted at the end.
    public var deletes: Bool
    /// When it began.
    public var startedAt: Timestamp

    /// The word for the role, and that for how far it has come.
    var words: (role: String, state: String) {
        switch role {
        case .source(let journal): ("source", journal.rawValue)
        case .sink(let journal): ("sink", journal.rawValue)
        }
    }
}

/// Where the other end of a move can be asked about it.
public struct MovePeerAddress: Sendable, Equatable, Codable {
    /// URLs of its API, the likeliest first.
    public var urls: [String]
    /// The one certificate it may show, PEM.
    public var certificate: String

    /// An address.
    public init(urls: [String] = [], certificate: String = "") {
        self.urls = urls
        self.certificate = certificate
    }
}

extension Store {
    /// Writes down how far a move has come. It is on disk when this returns.
    public func save(_ move: MoveRecord) throws {
        let words = move.words
        let peer = try Self.json(move.peer)
        try queue.write { db in
            try db.execute(
                sql: """
                    INSERT INTO moves (id, role, container, state, secret, peer, deletes, started_at)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT (id, role) DO UPDATE SET state = excluded.state, peer = excluded.peer
                    """,
                arguments: [
                    move.id, words.role, move.container, words.state, move.secret, peer, move.deletes,
                    move.startedAt.description,
                ])
        }
    }

    /// Forgets one end of a move.
    public func forget(move id: String, as role: MoveRecord.Role) throws {
        let word =
            switch role {
            case .source: "source"
            case .sink: "sink"
            }
        try queue.write { db in
            try db.execute(sql: "DELETE FROM moves WHERE id = ? AND role = ?", arguments: [id, word])
        }
    }

    /// The moves that were under way when the daemon last ended, and those whose source has not said that it is done.
    public func moves() throws -> [MoveRecord] {
        try queue.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM moves ORDER BY started_at").compactMap { row in
                let state: String = row["state"]
                let role: String = row["role"]
                let known: MoveRecord.Role? =
                    role == "source"
                    ? SourceJournal(rawValue: state).map { .source($0) }
                    : SinkJournal(rawValue: state).map { .sink($0) }
                guard let known else { return nil }
                return MoveRecord(
                    id: row["id"], role: known, container: row["container"], secret: row["secret"],
                    peer: try Self.value(MovePeerAddress.self, row["peer"]), deletes: row["deletes"],
                    startedAt: Self.time(row["started_at"]))
            }
        }
    }
}
