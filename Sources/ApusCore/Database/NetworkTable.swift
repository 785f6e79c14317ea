import ApusAPI
import GRDB

extension Store {
    /// All networks, by name, without what uses them.
    func networks() throws -> [Network] {
        try queue.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM networks ORDER BY name").map { row in
                var network = Network(name: row["name"], type: row["type"])
                network.description = row["description"]
                network.config = try Self.value(ConfigMap.self, row["config"])
                network.managed = true
                network.status = "Created"
                return network
            }
        }
    }

    /// Adds a network, or writes everything about it.
    func save(_ network: Network) throws {
        try queue.write { db in
            try db.execute(
                sql: """
                    INSERT INTO networks (name, type, description, config) VALUES (?, ?, ?, ?)
                    ON CONFLICT (name) DO UPDATE SET description = excluded.description, config = excluded.config
                    """,
                arguments: [network.name, network.type, network.description, try Self.json(network.config)])
        }
    }

    /// Renames a network.
    func renameNetwork(_ name: String, to newName: String) throws {
        try queue.write { db in
            try db.execute(sql: "UPDATE networks SET name = ? WHERE name = ?", arguments: [newName, name])
        }
    }

    /// Forgets a network.
    func deleteNetwork(_ name: String) throws {
        try queue.write { db in
            try db.execute(sql: "DELETE FROM networks WHERE name = ?", arguments: [name])
        }
    }
}
