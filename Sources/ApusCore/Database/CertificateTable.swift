public import ApusAPI
import GRDB

/// A client that is trusted, as the database keeps it.
public struct CertificateRecord: Sendable, Equatable {
    /// SHA-256 of the certificate's DER, in hex digits.
    public var fingerprint = ""
    /// What people call it.
    public var name = ""
    /// "client".
    public var type = "client"
    /// The certificate as PEM.
    public var certificate = ""
    /// When it was added.
    public var createdAt = Timestamp.zero

    /// An empty record.
    public init() {}
}

extension Store {
    /// All trusted clients, in the order they were added.
    public func certificates() throws -> [CertificateRecord] {
        try queue.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM certificates ORDER BY id").map { row in
                var record = CertificateRecord()
                record.fingerprint = row["fingerprint"]
                record.name = row["name"]
                record.type = row["type"]
                record.certificate = row["certificate"]
                record.createdAt = Self.time(row["created_at"])
                return record
            }
        }
    }

    /// Adds a trusted client.
    public func insert(_ record: CertificateRecord) throws {
        try queue.write { db in
            try db.execute(
                sql: """
                    INSERT INTO certificates (fingerprint, name, type, certificate, created_at)
                    VALUES (?, ?, ?, ?, ?)
                    """,
                arguments: [
                    record.fingerprint, record.name, record.type, record.certificate,
                    record.createdAt.description,
                ])
        }
    }

    /// Renames a trusted client.
    public func renameCertificate(_ fingerprint: String, to name: String) throws {
        try queue.write { db in
            try db.execute(
                sql: "UPDATE certificates SET name = ? WHERE fingerprint = ?", arguments: [name, fingerprint])
        }
    }

    /// Forgets a trusted client.
    public func deleteCertificate(_ fingerprint: String) throws {
        try queue.write { db in
            try db.execute(sql: "DELETE FROM certificates WHERE fingerprint = ?", arguments: [fingerprint])
        }
    }
}
