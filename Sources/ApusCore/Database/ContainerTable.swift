import ApusAPI
import GRDB

extension Store {
    /// All containers, by name.
    public func containers() throws -> [ContainerRecord] {
        try queue.read { db in
            var profiles: [Int64: [String]] = [:]
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT container_id, name FROM container_profiles
                    JOIN profiles ON profiles.id = profile_id ORDER BY container_id, position
                    """)
            for row in rows { profiles[row["container_id"], default: []].append(row["name"]) }
            return try Row.fetchAll(
                db,
                sql: """
                    SELECT containers.*, pools.name AS pool FROM containers
                    JOIN pools ON pools.id = pool_id ORDER BY containers.name
                    """
            ).map { row in
                var record = try Self.container(row)
                record.profiles = profiles[record.id] ?? []
                return record
            }
        }
    }

    /// Adds a container and returns it with its row's number.
    public func insert(_ record: ContainerRecord) throws -> ContainerRecord {
        try queue.write { db in
            guard
                try Int.fetchOne(db, sql: "SELECT 1 FROM containers WHERE name = ?", arguments: [record.name])
                    == nil
            else { throw ServiceError.conflict("Instance \"\(record.name)\" already exists") }
            let values = try Self.columns(db, record)
            let names = values.keys.sorted()
            try db.execute(
                sql: """
                    INSERT INTO containers (\(names.joined(separator: ", ")))
                    VALUES (\(names.map { ":\($0)" }.joined(separator: ", ")))
                    """, arguments: StatementArguments(values))
            var inserted = record
            inserted.id = db.lastInsertedRowID
            try Self.setProfiles(db, inserted)
            return inserted
        }
    }

    /// Writes everything about a container; its name and pool included.
    public func update(_ record: ContainerRecord) throws {
        try queue.write { db in
            var values = try Self.columns(db, record)
            let assignments = values.keys.sorted().map { "\($0) = :\($0)" }.joined(separator: ", ")
            values["id"] = record.id
            try db.execute(
                sql: "UPDATE containers SET \(assignments) WHERE id = :id",
                arguments: StatementArguments(values))
            guard db.changesCount == 1 else { throw ServiceError.notFound("Instance not found") }
            try Self.setProfiles(db, record)
        }
    }

    /// Forgets a container and its snapshots.
    public func deleteContainer(_ id: Int64) throws {
        try queue.write { db in
            try db.execute(sql: "DELETE FROM containers WHERE id = ?", arguments: [id])
        }
    }

    private static func setProfiles(_ db: Database, _ record: ContainerRecord) throws {
        let present = try String.fetchAll(
            db,
            sql: """
                SELECT name FROM container_profiles JOIN profiles ON profiles.id = profile_id
                WHERE container_id = ? ORDER BY position
                """, arguments: [record.id])
        guard present != record.profiles else { return }
        try db.execute(sql: "DELETE FROM container_profiles WHERE container_id = ?", arguments: [record.id])
        for (position, name) in record.profiles.enumerated() {
            guard
                let profile = try Int64.fetchOne(
                    db, sql: "SELECT id FROM profiles WHERE name = ?", arguments: [name])
            else { throw ServiceError.notFound("Profile \"\(name)\" not found") }
            try db.execute(
                sql: "INSERT INTO container_profiles (container_id, profile_id, position) VALUES (?, ?, ?)",
                arguments: [record.id, profile, position])
        }
    }

    private static func columns(
        _ db: Database, _ record: ContainerRecord
    ) throws -> [String: (any DatabaseValueConvertible)?] {
        let pool = try Int64.fetchOne(
            db, sql: "SELECT id FROM pools WHERE name = ?", arguments: [record.pool])
        guard let pool else { throw ServiceError.notFound("Storage pool \"\(record.pool)\" not found") }
        return [
            "pool_id": pool, "name": record.name, "uuid": record.uuid, "architecture": record.architecture,
            "description": record.description, "ephemeral": record.ephemeral,
            "created_at": record.createdAt.description, "last_used_at": record.lastUsedAt.description,
            "base_image": record.baseImage, "config": try json(record.config),
            "devices": try json(record.devices),
            "idmap_base": record.idmap?.lowerBound, "idmap_size": record.idmap.map { Int64($0.count) },
            "generation": record.generation, "frozen": record.frozen, "stateful": record.stateful,
            "state_taken_at": record.stateTakenAt.description, "state_size": record.stateSize,
            "should_run": record.shouldRun, "volatile": try json(record.volatile),
        ]
    }

    private static func container(_ row: Row) throws -> ContainerRecord {
        var record = ContainerRecord()
        record.id = row["id"]
        record.name = row["name"]
        record.uuid = row["uuid"]
        record.architecture = row["architecture"]
        record.description = row["description"]
        record.ephemeral = row["ephemeral"]
        record.createdAt = time(row["created_at"])
        record.lastUsedAt = time(row["last_used_at"])
        record.pool = row["pool"]
        record.baseImage = row["base_image"]
        record.config = try value(ConfigMap.self, row["config"])
        record.devices = try value(DevicesMap.self, row["devices"])
        if let base: Int64 = row["idmap_base"], let size: Int64 = row["idmap_size"] {
            record.idmap = base..<(base + size)
        }
        record.generation = row["generation"]
        record.frozen = row["frozen"]
        record.stateful = row["stateful"]
        record.stateTakenAt = time(row["state_taken_at"])
        record.stateSize = row["state_size"]
        record.shouldRun = row["should_run"]
        record.volatile = try value(ConfigMap.self, row["volatile"])
        return record
    }
}
