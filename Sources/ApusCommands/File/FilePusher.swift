import ApusClient
import Glibc
import NIOCore

/// Copies files, directories and links into a container.
struct FilePusher: Sendable {
    let client: Client
    let container: String
    let uid: Int?
    let gid: Int?
    let mode: Int?

    /// Copies one thing, and what is in it.
    func push(_ source: String, to path: String) async throws {
        let status = try FileStatus(source, followingLinks: false)
        switch status.kind {
        case .file:
            try await pushFile(source, to: path, attributes(status))
        case .directory:
            try await pushDirectory(source, to: path, attributes(status))
        case .symlink:
            let target = try PathText.linkTarget(source)
            try await client.pushSymlink(path, of: container, target: target, attributes: attributes(status))
        case .other:
            throw Failure("\(source) is neither a file, a directory nor a symbolic link")
        }
    }

    /// Copies what a descriptor gives.
    func pushDescriptor(_ descriptor: Int32, to path: String) async throws {
        try await client.pushFile(
            path, of: container, attributes: FileAttributes(uid: uid, gid: gid, mode: mode)
        ) { try FileIO.read(descriptor) }
    }

    /// Makes the directories above a path that are missing.
    func makeParents(of path: String) async throws {
        let parents = path.split(separator: "/").dropLast()
        var known = 0
        // From the bottom up to the first that is there, then down again.
        for count in stride(from: parents.count, to: 0, by: -1) where known == 0 {
            if try await isDirectory("/" + parents.prefix(count).joined(separator: "/")) { known = count }
        }
        guard known < parents.count else { return }
        for count in (known + 1)...parents.count {
            let parent = "/" + parents.prefix(count).joined(separator: "/")
            try await client.pushDirectory(
                parent, of: container, attributes: FileAttributes(uid: uid, gid: gid, mode: nil))
        }
    }

    private func attributes(_ status: FileStatus) -> FileAttributes {
        FileAttributes(
            uid: uid ?? status.uid, gid: gid ?? status.gid,
            mode: status.kind == .directory || status.kind == .symlink ? status.mode : mode ?? status.mode)
    }

    private func pushFile(_ source: String, to path: String, _ attributes: FileAttributes) async throws {
        try await FileIO.with(source, O_RDONLY) { descriptor in
            try await client.pushFile(path, of: container, attributes: attributes) {
                try FileIO.read(descriptor)
            }
        }
    }

    private func pushDirectory(_ source: String, to path: String, _ attributes: FileAttributes) async throws {
        if try await !isDirectory(path) {
            try await client.pushDirectory(path, of: container, attributes: attributes)
        }
        for name in try PathText.entries(of: source) {
            try await push(PathText.join(source, name), to: PathText.join(path, name))
        }
    }

    private func isDirectory(_ path: String) async throws -> Bool {
        do {
            return try await client.file(path, of: container) { file in
                if case .directory = file { return true }
                return false
            }
        } catch let error as ClientError where error.isNotFound {
            return false
        }
    }
}
