public import ApusAPI
import GRDB

extension Store {
    /// All profiles, by name, without what uses them.
    public func profiles() throws -> [Profile] {
        try queue.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM profiles ORDER BY name").map { row in
                var profile = Profile(name: row["name"])
                profile.description = row["description"]
                profile.config = try Self.value(ConfigMap.self, row["config"])
                profile.devices = try Self.value(DevicesMap.self, row["devices"])
                return profile
            }
        }
    }

    /// Adds a profile, or writes everything about it.
    public func save(_ profile: Profile) throws {
        try queue.write { db in
            try db.execute(
                sql: """
                    INSERT INTO profiles (name, description, config, devices) VALUES (?, ?, ?, ?)
                    ON CONFLICT (name) DO UPDATE SET description = excluded.description,
                    config = excluded.config, devices = excluded.devices
                    """,
                arguments: [
                    profile.name, profile.description, try Self.json(profile.config),
                    try Self.json(profile.devices),
                ])
        }
    }

    /// Renames a profile; containers keep it.
    public func renameProfile(_ name: String, to newName: String) throws {
        try queue.write { db in
            try db.execute(sql: "UPDATE profiles SET name = ? WHERE name = ?", arguments: [newName, name])
        }
    }

    /// Forgets a profile that no container has.
    public func deleteProfile(_ name: String) throws {
        try queue.write { db in
            try db.execute(sql: "DELETE FROM profiles WHERE name = ?", arguments: [name])
        }
    }

    /// All pools, by name, without what uses them.
    public func pools() throws -> [StoragePool] {
        try queue.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM pools ORDER BY name").map { row in
                var pool = StoragePool(name: row["name"], driver: row["driver"])
                pool.description = row["description"]
                pool.config = try Self.value(ConfigMap.self, row["config"])
                return pool
            }
        }
    }

    /// Adds a pool, or writes everything about it.
    public func save(_ pool: StoragePool) throws {
        try queue.write { db in
            try db.execute(
                sql: """
                    INSERT INTO pools (name, driver, description, config) VALUES (?, ?, ?, ?)
                    ON CONFLICT (name) DO UPDATE SET description = excluded.description, config = excluded.config
                    """, arguments: [pool.name, pool.driver, pool.description, try Self.json(pool.config)])
        }
    }

    /// Forgets a pool that nothing lives in.
    public func deletePool(_ name: String) throws {
        try queue.write { db in
            try db.execute(sql: "DELETE FROM pools WHERE name = ?", arguments: [name])
        }
    }
}
