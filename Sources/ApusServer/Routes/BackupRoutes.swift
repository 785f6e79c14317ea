import ApusAPI
import ApusCore
import HTTPTypes
import HummingbirdCore
import NIOCore

/// Backups of containers.
struct BackupRoutes {
    let daemon: Daemon
    private var containers: ContainerService { daemon.containers }

    var routes: [Route] {
        [
            Route(.get, "/1.0/instances/{name}/backups", "A container's backups") { request in
                let name = try request.path("name")
                let backups = try await containers.backups(name)
                guard request.recursion == 0 else { return try Reply.sync(backups) }
                return try Reply.sync(
                    backups.map { "/1.0/\(request.collection)/\(name)/backups/\($0.name)" })
            },
            Route(
                .post, "/1.0/instances/{name}/backups",
                "Make a backup: files, snapshots and the running states that are kept"
            ) { request in
                try Reply.operation(
                    try await containers.createBackup(
                        try request.path("name"), try await request.json(InstanceBackupsPost.self)))
            },
            Route(.get, "/1.0/instances/{name}/backups/{backup}", "A backup") { request in
                try Reply.sync(
                    try await containers.backup(try request.path("name"), try request.path("backup")))
            },
            Route(.post, "/1.0/instances/{name}/backups/{backup}", "Rename a backup") { request in
                let post = try await request.json(InstanceBackupPost.self)
                return try Reply.operation(
                    try await containers.renameBackup(
                        try request.path("name"), try request.path("backup"), to: post.name))
            },
            Route(.delete, "/1.0/instances/{name}/backups/{backup}", "Delete a backup") { request in
                try Reply.operation(
                    try await containers.deleteBackup(try request.path("name"), try request.path("backup")))
            },
            Route(.get, "/1.0/instances/{name}/backups/{backup}/export", "Download a backup") { request in
                let file = try await containers.backupFile(
                    try request.path("name"), try request.path("backup"))
                return try FileTransfer.download(
                    file.path,
                    headers: [
                        .contentType: "application/octet-stream",
                        .contentDisposition: "inline;filename=\(file.name)",
                    ])
            },
        ]
    }

    /// Whether a request brings a backup along, and no JSON.
    static func isUpload(_ request: APIRequest) -> Bool {
        (request.request.headers[.contentType] ?? "").hasPrefix("application/octet-stream")
    }

    /// Makes a container of the backup that a request brings along.
    func take(_ request: APIRequest) async throws -> HTTPReply {
        let upload = try containers.beginImport()
        do {
            for try await buffer in request.request.body { try upload.write(Array(buffer.readableBytesView)) }
        } catch {
            upload.cancel()
            throw error
        }
        let stateless = request.header(BackupHeader.stateless).map { $0 == "true" || $0 == "1" } ?? false
        return try Reply.operation(
            try await containers.importBackup(
                upload, name: request.header(BackupHeader.name) ?? "",
                pool: request.header(BackupHeader.pool) ?? "", stateless: stateless))
    }
}
