public import ApusAPI
import GRDB

extension Store {
    /// All images, newest first.
    public func images() throws -> [ImageRecord] {
        try queue.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM images ORDER BY uploaded_at DESC").map(Self.image)
        }
    }

    /// Adds an image.
    public func insert(_ record: ImageRecord) throws {
        try queue.write { db in
            let values = try Self.columns(record)
            let names = values.keys.sorted()
            try db.execute(
                sql: """
                    INSERT INTO images (\(names.joined(separator: ", ")))
                    VALUES (\(names.map { ":\($0)" }.joined(separator: ", ")))
                    """, arguments: StatementArguments(values))
        }
    }

    /// Writes everything about an image.
    public func update(_ record: ImageRecord) throws {
        try queue.write { db in
            let values = try Self.columns(record)
            let assignments = values.keys.sorted().map { "\($0) = :\($0)" }.joined(separator: ", ")
            try db.execute(
                sql: "UPDATE images SET \(assignments) WHERE fingerprint = :fingerprint",
                arguments: StatementArguments(values))
        }
    }

    /// Forgets an image and its aliases.
    public func deleteImage(_ fingerprint: String) throws {
        try queue.write { db in
            try db.execute(sql: "DELETE FROM images WHERE fingerprint = ?", arguments: [fingerprint])
        }
    }

    /// All aliases, by name.
    public func aliases() throws -> [ImageAlias] {
        try queue.read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT image_aliases.name, image_aliases.description, fingerprint FROM image_aliases
                    JOIN images ON images.id = image_id ORDER BY image_aliases.name
                    """
            ).map { ImageAlias(name: $0["name"], target: $0["fingerprint"], description: $0["description"]) }
        }
    }

    /// Adds an alias, or points it elsewhere.
    public func setAlias(_ alias: ImageAlias) throws {
        try queue.write { db in
            guard
                let image = try Int64.fetchOne(
                    db, sql: "SELECT id FROM images WHERE fingerprint = ?", arguments: [alias.target])
            else { throw ServiceError.notFound("Image not found") }
            try db.execute(
                sql: """
                    INSERT INTO image_aliases (name, description, image_id) VALUES (?, ?, ?)
                    ON CONFLICT (name) DO UPDATE SET description = excluded.description, image_id = excluded.image_id
                    """, arguments: [alias.name, alias.description, image])
        }
    }

    /// Renames an alias.
    public func renameAlias(_ name: String, to newName: String) throws {
        try queue.write { db in
            try db.execute(
                sql: "UPDATE image_aliases SET name = ? WHERE name = ?", arguments: [newName, name])
        }
    }

    /// Forgets an alias.
    public func deleteAlias(_ name: String) throws {
        try queue.write { db in
            try db.execute(sql: "DELETE FROM image_aliases WHERE name = ?", arguments: [name])
        }
    }

    private static func columns(_ record: ImageRecord) throws -> [String: (any DatabaseValueConvertible)?] {
        [
            "fingerprint": record.fingerprint, "size": record.size, "filename": record.filename,
            "architecture": record.architecture, "public": record.isPublic, "auto_update": record.autoUpdate,
            "cached": record.cached, "created_at": record.createdAt.description,
            "uploaded_at": record.uploadedAt.description, "last_used_at": record.lastUsedAt.description,
            "properties": try json(record.properties), "source": try record.source.map(json),
        ]
    }

    private static func image(_ row: Row) throws -> ImageRecord {
        var record = ImageRecord()
        record.fingerprint = row["fingerprint"]
        record.size = row["size"]
        record.filename = row["filename"]
        record.architecture = row["architecture"]
        record.isPublic = row["public"]
        record.autoUpdate = row["auto_update"]
        record.cached = row["cached"]
        record.createdAt = time(row["created_at"])
        record.uploadedAt = time(row["uploaded_at"])
        record.lastUsedAt = time(row["last_used_at"])
        record.properties = try value([String: String].self, row["properties"])
        if let source: String = row["source"] { record.source = try value(ImageSource.self, source) }
        return record
    }
}
