import ApusAPI
import ApusCore
import ContainerRuntime
import Foundation
import HTTPTypes
import HummingbirdCore
import LinuxSystem
import NIOCore
import NIOPosix

/// Files inside containers.
struct FileRoutes {
    let daemon: Daemon

    var routes: [Route] {
        [
            Route(
                .get, "/1.0/instances/{name}/files", "Read a file, directory or symlink in a container",
                handler: read),
            Route(
                .post, "/1.0/instances/{name}/files", "Write a file, directory or symlink in a container",
                handler: write),
            Route(.delete, "/1.0/instances/{name}/files", "Delete a file or directory in a container") {
                request in
                let recursive = request.query["recursive"].map { $0 == "1" || $0 == "true" } ?? false
                try await daemon.files.remove(
                    try request.path("name"), try path(request), recursive: recursive)
                return try Reply.done()
            },
        ]
    }

    private func path(_ request: APIRequest) throws -> String {
        guard let path = request.query["path"], !path.isEmpty else {
            throw ServiceError.badRequest("Say which file: the query has no path")
        }
        return path
    }

    private func read(_ request: APIRequest) async throws -> HTTPReply {
        let file = try await daemon.files.open(try request.path("name"), try path(request))
        var reply: HTTPReply
        switch file.content {
        case .entries(let entries):
            reply = try Reply.sync(entries.map(\.name))
        case .target(let target):
            reply = Reply.bytes(Array(target.utf8))
        case .data(let descriptor):
            reply = HTTPReply(
                status: .ok, headers: [.contentType: "application/octet-stream"],
                body: FileTransfer.body(
                    of: descriptor, size: file.info.type == .file ? Int(file.info.size) : nil))
        case .none:
            throw ServiceError.badRequest(
                "This is neither a file nor a directory nor a symlink, and cannot be read")
        }
        describe(file.info, in: &reply.headers)
        return reply
    }

    private func describe(_ info: ContainerFileInfo, in headers: inout HTTPFields) {
        headers[.custom(FileHeader.type)] = info.type.rawValue
        headers[.custom(FileHeader.uid)] = String(info.user)
        headers[.custom(FileHeader.gid)] = String(info.group)
        let mode = String(info.mode & 0o7777, radix: 8)
        headers[.custom(FileHeader.mode)] = String(repeating: "0", count: max(0, 4 - mode.count)) + mode
        headers[.custom(FileHeader.modified)] = Timestamp(seconds: info.modified).description
    }

    private func write(_ request: APIRequest) async throws -> HTTPReply {
        let name = try request.path("name")
        let path = try path(request)
        let attributes = ContainerFileAttributes(
            user: try number(request, FileHeader.uid, radix: 10),
            group: try number(request, FileHeader.gid, radix: 10),
            mode: try number(request, FileHeader.mode, radix: 8).map { $0 & 0o7777 })
        switch request.header(FileHeader.type) ?? "file" {
        case "directory":
            try await daemon.files.makeDirectory(name, path, attributes)
        case "symlink":
            let target = try await request.body(limit: 4096)
            try await daemon.files.makeSymlink(
                name, path, to: String(decoding: target, as: UTF8.self), attributes)
        case "file":
            let append = request.header(FileHeader.write) == "append"
            try await receive(
                request, into: try await daemon.files.write(name, path, attributes, append: append))
        case let other:
            throw ServiceError.badRequest("Unknown kind of file \"\(other)\"; use file, directory or symlink")
        }
        return try Reply.done()
    }

    private func receive(_ request: APIRequest, into writer: ContainerFileWriter) async throws {
        do {
            for try await buffer in request.request.body {
                let bytes = Array(buffer.readableBytesView)
                // Writing to a disk may block: not on the threads that serve everyone.
                try await NIOThreadPool.singleton.runIfActive { try writer.file.write(bytes) }
            }
            try await writer.commit()
        } catch {
            await writer.cancel()
            throw error
        }
    }

    private func number(_ request: APIRequest, _ header: String, radix: Int) throws -> UInt32? {
        guard let text = request.header(header), !text.isEmpty else { return nil }
        // Go's clients write octal as "0644", others as "0o644" or "644".
        let digits = radix == 8 && text.hasPrefix("0o") ? text.dropFirst(2) : text[...]
        guard let number = UInt32(digits, radix: radix) else {
            throw ServiceError.badRequest(
                "The header \(header) has no \(radix == 8 ? "octal " : "")number: \"\(text)\"")
        }
        return number
    }
}
