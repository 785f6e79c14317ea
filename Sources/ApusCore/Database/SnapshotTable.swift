import ApusAPI
import GRDB

extension Store {
    /// All snapshots of all containers, oldest first.
    public func snapshots() throws -> [SnapshotRecord] {
        try queue.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM snapshots ORDER BY container_id, created_at, id")
                .map(Self.snapshot)
        }
    }

    /// Adds a snapshot and returns it with its row's number.
    public func insert(_ record: SnapshotRecord) throws -> SnapshotRecord {
        try queue.write { db in
            let values: [String: (any DatabaseValueConvertible)?] = [
                "container_id": record.containerID, "name": record.name,
                "created_at": record.createdAt.description, "expires_at": record.expiresAt.description,
                "stateful": record.stateful, "size": record.size, "state_size": record.stateSize,
                "architecture": record.architecture, "ephemeral": record.ephemeral,
                "config": try Self.json(record.config), "devices": try Self.json(record.devices),
                "profiles": try Self.json(record.profiles),
                "expanded_config": try Self.json(record.expandedConfig),
                "expanded_devices": try Self.json(record.expandedDevices),
                "last_used_at": record.lastUsedAt.description,
            ]
            let names = values.keys.sorted()
            try db.execute(
                sql: """
                    INSERT INTO snapshots (\(names.joined(separator: ", ")))
                    VALUES (\(names.map { ":\($0)" }.joined(separator: ", ")))
                    """, arguments: StatementArguments(values))
            var inserted = record
            inserted.id = db.lastInsertedRowID
            return inserted
        }
    }

    /// Renames a snapshot.
    public func renameSnapshot(_ id: Int64, to name: String) throws {
        try queue.write { db in
            try db.execute(sql: "UPDATE snapshots SET name = ? WHERE id = ?", arguments: [name, id])
        }
    }

    /// Forgets a snapshot.
    public func deleteSnapshot(_ id: Int64) throws {
        try queue.write { db in
            try db.execute(sql: "DELETE FROM snapshots WHERE id = ?", arguments: [id])
        }
    }

    private static func snapshot(_ row: Row) throws -> SnapshotRecord {
        var record = SnapshotRecord()
        record.id = row["id"]
        record.containerID = row["container_id"]
        record.name = row["name"]
        record.createdAt = time(row["created_at"])
        record.expiresAt = time(row["expires_at"])
        record.stateful = row["stateful"]
        record.size = row["size"]
        record.stateSize = row["state_size"]
        record.architecture = row["architecture"]
        record.ephemeral = row["ephemeral"]
        record.config = try value(ConfigMap.self, row["config"])
        record.devices = try value(DevicesMap.self, row["devices"])
        record.profiles = try value([String].self, row["profiles"])
        record.expandedConfig = try value(ConfigMap.self, row["expanded_config"])
        record.expandedDevices = try value(DevicesMap.self, row["expanded_devices"])
        record.lastUsedAt = time(row["last_used_at"])
        return record
    }
}
