public import ApusAPI
import GRDB

/// A custom volume, as the database keeps it.
public struct VolumeRecord: Sendable, Equatable {
    /// Its row.
    public var id: Int64 = 0
    /// Its pool.
    public var pool: String
    /// Its name.
    public var name: String
    /// Free text.
    public var description = ""
    /// Its keys.
    public var config: ConfigMap = [:]
    /// When it was made.
    public var createdAt = Timestamp.zero

    /// A volume of a pool.
    public init(pool: String, name: String) {
        self.pool = pool
        self.name = name
    }
}

extension Store {
    /// All custom volumes.
    public func customVolumes() throws -> [VolumeRecord] {
        try queue.read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT custom_volumes.*, pools.name AS pool FROM custom_volumes
                    JOIN pools ON pools.id = pool_id ORDER BY pools.name, custom_volumes.name
                    """
            ).map { row in
                var record = VolumeRecord(pool: row["pool"], name: row["name"])
                record.id = row["id"]
                record.description = row["description"]
                record.config = try Self.value(ConfigMap.self, row["config"])
                record.createdAt = Self.time(row["created_at"])
                return record
            }
        }
    }

    /// Adds a custom volume and returns it with its row's number.
    public func insert(_ record: VolumeRecord) throws -> VolumeRecord {
        try queue.write { db in
            guard
                let pool = try Int64.fetchOne(
                    db, sql: "SELECT id FROM pools WHERE name = ?", arguments: [record.pool])
            else { throw ServiceError.notFound("Storage pool \"\(record.pool)\" not found") }
            try db.execute(
                sql: """
                    INSERT INTO custom_volumes (pool_id, name, description, config, created_at)
                    VALUES (?, ?, ?, ?, ?)
                    """,
                arguments: [
                    pool, record.name, record.description, try Self.json(record.config),
                    record.createdAt.description,
                ])
            var inserted = record
            inserted.id = db.lastInsertedRowID
            return inserted
        }
    }

    /// Writes name, description and keys of a custom volume.
    public func update(_ record: VolumeRecord) throws {
        try queue.write { db in
            try db.execute(
                sql: "UPDATE custom_volumes SET name = ?, description = ?, config = ? WHERE id = ?",
                arguments: [record.name, record.description, try Self.json(record.config), record.id])
        }
    }

    /// Forgets a custom volume.
    public func deleteCustomVolume(_ id: Int64) throws {
        try queue.write { db in
            try db.execute(sql: "DELETE FROM custom_volumes WHERE id = ?", arguments: [id])
        }
    }
}
