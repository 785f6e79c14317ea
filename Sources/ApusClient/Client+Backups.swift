public import ApusAPI
public import NIOCore
import NIOHTTP1

extension Client {
    /// The backups of a container that the daemon keeps.
    public func backups(of name: String) async throws -> [InstanceBackup] {
        try await get(Self.path(name, "/backups"), query: [("recursion", "1")])
    }

    /// Has the daemon make a backup.
    public func createBackup(of name: String, _ post: InstanceBackupsPost) async throws -> ApusAPI.Operation {
        try await begin(.POST, Self.path(name, "/backups"), post)
    }

    /// Deletes a backup.
    public func deleteBackup(_ backup: String, of name: String) async throws -> ApusAPI.Operation {
        try await begin(.DELETE, Self.path(name, "/backups/\(backup.percentEncoded)"))
    }

    /// Fetches a backup: the name that the daemon suggests for it and its size first, then its bytes as they arrive.
    public func exportBackup<Output: Sendable>(
        _ backup: String, of name: String,
        consume: @escaping @Sendable (_ filename: String?, _ size: Int64?, ReplyBody) async throws -> Output
    ) async throws -> Output {
        let path = Self.path(name, "/backups/\(backup.percentEncoded)/export")
        return try await stream(Request(.GET, path)) { head, body in
            try await consume(
                Self.filename(inDisposition: head.headers.first(name: "Content-Disposition")),
                head.headers.first(name: "Content-Length").flatMap { Int64($0) }, body)
        }
    }

    /// Sends a backup, of which the daemon makes a container; `next` gives its bytes, nil at the end.
    /// - Parameters:
    ///   - name: the container's name; nil for the one it had.
    ///   - pool: its storage pool; nil for the one it was in.
    ///   - stateless: leaves running states out.
    public func importBackup(
        name: String?, pool: String?, stateless: Bool,
        next: @escaping @Sendable () async throws -> ByteBuffer?
    ) async throws -> ApusAPI.Operation {
        var headers: HTTPHeaders = ["Content-Type": "application/octet-stream"]
        if let name { headers.add(name: BackupHeader.name, value: name) }
        if let pool { headers.add(name: BackupHeader.pool, value: pool) }
        if stateless { headers.add(name: BackupHeader.stateless, value: "true") }
        return try Self.metadata(
            of: try await perform(Request(.POST, "/1.0/instances", headers: headers, body: .stream(next))))
    }
}
