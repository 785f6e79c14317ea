import ApusAPI
public import NIOCore
import NIOHTTP1

/// Owner and permissions of a file inside a container; nil leaves the choice to the daemon.
public struct FileAttributes: Sendable, Equatable {
    /// User id inside.
    public var uid: Int?
    /// Group id inside.
    public var gid: Int?
    /// Permission bits.
    public var mode: Int?

    /// Attributes.
    public init(uid: Int? = nil, gid: Int? = nil, mode: Int? = nil) {
        self.uid = uid
        self.gid = gid
        self.mode = mode
    }

    init(_ headers: HTTPHeaders) {
        uid = headers.first(name: FileHeader.uid).flatMap { Int($0) }
        gid = headers.first(name: FileHeader.gid).flatMap { Int($0) }
        mode = headers.first(name: FileHeader.mode).flatMap { Int($0, radix: 8) }
    }

    func add(to headers: inout HTTPHeaders) {
        if let uid { headers.add(name: FileHeader.uid, value: String(uid)) }
        if let gid { headers.add(name: FileHeader.gid, value: String(gid)) }
        if let mode {
            let digits = String(mode & 0o7777, radix: 8)
            headers.add(
                name: FileHeader.mode, value: String(repeating: "0", count: max(0, 4 - digits.count)) + digits
            )
        }
    }
}

/// A file inside a container, as the daemon sends it.
public enum RemoteFile {
    /// A file; its bytes follow.
    case file(FileAttributes, ReplyBody)
    /// A directory, with the names in it.
    case directory(FileAttributes, [String])
    /// A symbolic link, with its target.
    case symlink(FileAttributes, target: String)
}

extension Client {
    private static func files(_ container: String) -> String { path(container, "/files") }

    /// Fetches a file, a directory's names or a link's target from inside a container.
    public func file<Output: Sendable>(
        _ path: String, of container: String,
        consume: @escaping @Sendable (RemoteFile) async throws -> Output
    ) async throws -> Output {
        let request = Request(.GET, Self.files(container), query: [("path", path)])
        return try await stream(request) { head, body in
            let attributes = FileAttributes(head.headers)
            switch head.headers.first(name: FileHeader.type) {
            case "directory":
                let reply = Reply(status: head.status, headers: head.headers, body: try await body.collect())
                return try await consume(.directory(attributes, try Self.metadata(of: reply)))
            case "symlink":
                let target = String(buffer: try await body.collect(limit: 1 << 16))
                return try await consume(.symlink(attributes, target: target))
            default:
                return try await consume(.file(attributes, body))
            }
        }
    }

    /// Writes a file inside a container; `next` gives its bytes, nil at the end.
    public func pushFile(
        _ path: String, of container: String, attributes: FileAttributes = FileAttributes(),
        next: @escaping @Sendable () async throws -> ByteBuffer?
    ) async throws {
        try await push("file", path, container, attributes, .stream(next))
    }

    /// Makes a directory inside a container.
    public func pushDirectory(
        _ path: String, of container: String, attributes: FileAttributes = FileAttributes()
    ) async throws {
        try await push("directory", path, container, attributes, .none)
    }

    /// Makes a symbolic link inside a container.
    public func pushSymlink(
        _ path: String, of container: String, target: String, attributes: FileAttributes = FileAttributes()
    ) async throws {
        try await push("symlink", path, container, attributes, .bytes(ByteBuffer(string: target)))
    }

    /// Deletes a file or an empty directory inside a container; with `recursive` all that is in it.
    public func deleteFile(_ path: String, of container: String, recursive: Bool = false) async throws {
        let query = [("path", path)] + (recursive ? [("recursive", "true")] : [])
        try await perform(Request(.DELETE, Self.files(container), query: query))
    }

    private func push(
        _ type: String, _ path: String, _ container: String, _ attributes: FileAttributes,
        _ body: Request.Body
    ) async throws {
        var headers: HTTPHeaders = ["Content-Type": "application/octet-stream"]
        headers.add(name: FileHeader.type, value: type)
        attributes.add(to: &headers)
        try await perform(
            Request(
                .POST, Self.files(container), query: [("path", path)], headers: headers, body: body))
    }
}
