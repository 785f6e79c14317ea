import ApusClient
import Glibc

/// Copies files, directories and links out of a container. A link that was asked for by its name is followed, inside the
/// container; with `recursive` links are copied as links. Never follows a link that it makes or finds on this side.
struct FilePuller: Sendable {
    let client: Client
    let container: String
    let recursive: Bool

    private enum Found: Sendable {
        case done
        case directory(FileAttributes, [String])
        case link(String)
    }

    /// Copies one thing, and what is in it.
    func pull(_ path: String, to target: String) async throws {
        try await pull(path, to: target, links: 0)
    }

    private func pull(_ path: String, to target: String, links: Int) async throws {
        let found = try await client.file(path, of: container) { file in
            switch file {
            case .file(let attributes, let body):
                try await save(body, attributes, to: target)
                return Found.done
            case .symlink(_, let destination):
                guard recursive else { return Found.link(destination) }
                unlink(target)
                guard symlink(destination, target) == 0 else { throw FileFailure("make the link \(target)") }
                return Found.done
            case .directory(let attributes, let names):
                return Found.directory(attributes, names)
            }
        }
        if case .link(let destination) = found {
            let next = try PathText.following(destination, from: path, links: links)
            return try await pull(next, to: target, links: links + 1)
        }
        guard case .directory(let attributes, let names) = found else { return }
        guard recursive else { throw Failure("\(path) is a directory; use -r to copy it") }
        try makeFolder(target)
        for name in names.sorted() where name != "." && name != ".." && !name.isEmpty && !name.contains("/") {
            try await pull(PathText.join(path, name), to: PathText.join(target, name))
        }
        chmod(target, mode_t(attributes.mode ?? 0o755) & 0o777)
    }

    /// Writes a file to standard output.
    func show(_ path: String, links: Int = 0) async throws {
        let link: String? = try await client.file(path, of: container) { file in
            switch file {
            case .file(_, let body):
                while let bytes = try await body.next() { try FileIO.writeAll(bytes, to: STDOUT_FILENO) }
                return nil
            case .symlink(_, let destination): return destination
            case .directory: throw Failure("\(path) is a directory")
            }
        }
        guard let link else { return }
        try await show(try PathText.following(link, from: path, links: links), links: links + 1)
    }

    private func save(_ body: ReplyBody, _ attributes: FileAttributes, to target: String) async throws {
        let mode = mode_t(attributes.mode ?? 0o644) & 0o777
        try await FileIO.with(target, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600) { descriptor in
            while let bytes = try await body.next() { try FileIO.writeAll(bytes, to: descriptor) }
            fchmod(descriptor, mode)
        }
    }

    private func makeFolder(_ path: String) throws {
        if mkdir(path, 0o700) == 0 { return }
        let failure = FileFailure("make the directory \(path)")
        guard failure.errno == EEXIST, try FileStatus(path, followingLinks: false).kind == .directory else {
            throw failure
        }
    }
}
