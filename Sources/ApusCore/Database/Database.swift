import ApusAPI
import Foundation
import GRDB
import Glibc
import LinuxSystem

/// What the daemon knows, in SQLite. All calls are short; the services keep their own copies for reading.
public final class Store: Sendable {
    let queue: DatabaseQueue

    /// Opens the database, makes it if it is missing, and brings it to the present form.
    /// - Parameter path: its file; nil for one in memory.
    public init(path: String?) throws {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = true
        configuration.label = "apus"
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA synchronous = FULL")
            try db.execute(sql: "PRAGMA cache_size = -1024")
        }
        if let path {
            // What SQLite makes beside it gets the same mode: others on the machine have no business in there.
            try FileDescriptor.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600).close()
            try check("chmod", "set the mode of \(path)") { chmod(path, 0o600) }
            queue = try DatabaseQueue(path: path, configuration: configuration)
            try queue.writeWithoutTransaction { db in
                _ = try String.fetchOne(db, sql: "PRAGMA journal_mode = WAL")
            }
        } else {
            queue = try DatabaseQueue(configuration: configuration)
        }
        try Migrations.all.migrate(queue)
    }

    /// The names of the migrations that the database has gone through.
    public func appliedMigrations() throws -> [String] {
        try queue.read { try Migrations.all.appliedMigrations($0) }
    }

    /// Whether every reference in the database leads somewhere.
    public func checkIntegrity() throws {
        try queue.read { db in
            try db.checkForeignKeys()
            guard try String.fetchOne(db, sql: "PRAGMA quick_check") == "ok" else {
                throw ServiceError.failure("The database is damaged; put back a copy of apus.db")
            }
        }
    }

    /// A number that was never given before: for generations of containers. It reaches the disk with the next change,
    /// which is that of the container's own record; without one nobody has used it.
    public func nextGeneration() throws -> Int64 {
        try queue.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
            defer { try? db.execute(sql: "PRAGMA synchronous = FULL") }
            var number: Int64 = 1
            try db.inTransaction {
                try db.execute(sql: "UPDATE counters SET value = value + 1 WHERE name = 'generation'")
                number =
                    try Int64.fetchOne(db, sql: "SELECT value FROM counters WHERE name = 'generation'") ?? 1
                return .commit
            }
            return number
        }
    }

    // JSON columns hold what is only ever read and written whole.

    static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    static func value<Value: Decodable>(_ type: Value.Type, _ json: String) throws -> Value {
        try JSONDecoder().decode(type, from: Data(json.utf8))
    }

    static func time(_ text: String?) -> Timestamp { text.flatMap { Timestamp($0) } ?? .zero }
}
