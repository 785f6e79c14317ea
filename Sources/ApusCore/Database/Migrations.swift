import GRDB

/// The forms the database has had. A released migration is never changed; new ones are added below.
enum Migrations {
    static var all: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 containers, snapshots, images") { db in
            for statement in first { try db.execute(sql: statement) }
        }
        migrator.registerMigration("custom volumes") { db in
            try db.execute(
                sql: """
                    CREATE TABLE custom_volumes (
                        id INTEGER PRIMARY KEY,
                        pool_id INTEGER NOT NULL REFERENCES pools (id) ON DELETE RESTRICT,
                        name TEXT NOT NULL, description TEXT NOT NULL, config TEXT NOT NULL,
                        created_at TEXT NOT NULL, UNIQUE (pool_id, name)) STRICT
                    """)
        }
        migrator.registerMigration("networks") { db in
            try db.execute(
                sql: """
                    CREATE TABLE networks (
                        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, type TEXT NOT NULL,
                        description TEXT NOT NULL, config TEXT NOT NULL) STRICT
                    """)
            try db.execute(sql: "ALTER TABLE containers ADD COLUMN volatile TEXT NOT NULL DEFAULT '{}'")
        }
        migrator.registerMigration("certificates") { db in
            try db.execute(
                sql: """
                    CREATE TABLE certificates (
                        id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
                        type TEXT NOT NULL, certificate TEXT NOT NULL, created_at TEXT NOT NULL) STRICT
                    """)
        }
        migrator.registerMigration("moves") { db in
            try db.execute(
                sql: """
                    CREATE TABLE moves (
                        id TEXT NOT NULL, role TEXT NOT NULL, container TEXT NOT NULL, state TEXT NOT NULL,
                        secret TEXT NOT NULL, peer TEXT NOT NULL, deletes INTEGER NOT NULL,
                        started_at TEXT NOT NULL, PRIMARY KEY (id, role)) STRICT
                    """)
        }
        return migrator
    }

    private static let first = [
        """
        CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT
        """,
        "INSERT INTO counters VALUES ('generation', 0)",
        """
        CREATE TABLE server_config (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT
        """,
        """
        CREATE TABLE pools (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, driver TEXT NOT NULL,
            description TEXT NOT NULL, config TEXT NOT NULL) STRICT
        """,
        """
        CREATE TABLE profiles (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT NOT NULL,
            config TEXT NOT NULL, devices TEXT NOT NULL) STRICT
        """,
        """
        CREATE TABLE images (
            id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE, size INTEGER NOT NULL,
            filename TEXT NOT NULL, architecture TEXT NOT NULL, public INTEGER NOT NULL,
            auto_update INTEGER NOT NULL, cached INTEGER NOT NULL, created_at TEXT NOT NULL,
            uploaded_at TEXT NOT NULL, last_used_at TEXT NOT NULL, properties TEXT NOT NULL, source TEXT) STRICT
        """,
        """
        CREATE TABLE image_aliases (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT NOT NULL,
            image_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE) STRICT
        """,
        """
        CREATE TABLE containers (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, uuid TEXT NOT NULL, architecture TEXT NOT NULL,
            description TEXT NOT NULL, ephemeral INTEGER NOT NULL, created_at TEXT NOT NULL,
            last_used_at TEXT NOT NULL, pool_id INTEGER NOT NULL REFERENCES pools (id) ON DELETE RESTRICT,
            base_image TEXT NOT NULL, config TEXT NOT NULL, devices TEXT NOT NULL,
            idmap_base INTEGER, idmap_size INTEGER, generation INTEGER, frozen INTEGER NOT NULL,
            stateful INTEGER NOT NULL, state_taken_at TEXT NOT NULL, state_size INTEGER NOT NULL,
            should_run INTEGER NOT NULL) STRICT
        """,
        """
        CREATE TABLE container_profiles (
            container_id INTEGER NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
            profile_id INTEGER NOT NULL REFERENCES profiles (id) ON DELETE RESTRICT,
            position INTEGER NOT NULL, PRIMARY KEY (container_id, position)) STRICT
        """,
        """
        CREATE TABLE snapshots (
            id INTEGER PRIMARY KEY, container_id INTEGER NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
            name TEXT NOT NULL, created_at TEXT NOT NULL, expires_at TEXT NOT NULL, stateful INTEGER NOT NULL,
            size INTEGER NOT NULL, state_size INTEGER NOT NULL, architecture TEXT NOT NULL,
            ephemeral INTEGER NOT NULL, config TEXT NOT NULL, devices TEXT NOT NULL, profiles TEXT NOT NULL,
            expanded_config TEXT NOT NULL, expanded_devices TEXT NOT NULL, last_used_at TEXT NOT NULL,
            UNIQUE (container_id, name)) STRICT
        """,
        """
        CREATE TABLE journal (
            id INTEGER PRIMARY KEY, container TEXT NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL,
            started_at TEXT NOT NULL) STRICT
        """,
    ]
}
