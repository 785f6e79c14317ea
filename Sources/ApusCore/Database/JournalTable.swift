import ApusAPI
import GRDB

extension Store {
    /// Remembers that an operation has begun; returns the row to end it with.
    public func begin(_ entry: JournalEntry) throws -> Int64 {
        try queue.write { db in
            try db.execute(
                sql: "INSERT INTO journal (container, action, detail, started_at) VALUES (?, ?, ?, ?)",
                arguments: [entry.container, entry.action, entry.detail, entry.startedAt.description])
            return db.lastInsertedRowID
        }
    }

    /// Forgets an operation that has ended, well or not.
    public func end(journal id: Int64) throws {
        try queue.write { db in
            try db.execute(sql: "DELETE FROM journal WHERE id = ?", arguments: [id])
        }
    }

    /// The operations that were under way when the daemon last ended.
    public func journal() throws -> [JournalEntry] {
        try queue.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM journal ORDER BY id").map { row in
                var entry = JournalEntry(
                    container: row["container"], action: row["action"], detail: row["detail"])
                entry.id = row["id"]
                entry.startedAt = Self.time(row["started_at"])
                return entry
            }
        }
    }
}

extension Store {
    /// A value that the daemon keeps about itself.
    public func serverValue(_ key: String) throws -> String? {
        try queue.read { db in
            try String.fetchOne(db, sql: "SELECT value FROM server_config WHERE key = ?", arguments: [key])
        }
    }

    /// Keeps a value; nil forgets it.
    public func setServerValue(_ key: String, _ value: String?) throws {
        try queue.write { db in
            if let value {
                try db.execute(
                    sql:
                        "INSERT INTO server_config VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    arguments: [key, value])
            } else {
                try db.execute(sql: "DELETE FROM server_config WHERE key = ?", arguments: [key])
            }
        }
    }
}
