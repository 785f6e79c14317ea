import ApusClient
import Glibc

/// Copies files, directories and links out of a container. Never follows a link that it finds or makes on the way.
struct FilePuller: Sendable {
    let client: Client
    let container: String
    let recursive: Bool

    private enum Found: Sendable {
        case done
        case directory(FileAttributes, [String])
    }

    /// Copies one thing, and what is in it.
    func pull(_ path: String, to target: String) async throws {
        let found = try await client.file(path, of: container) { file in
            switch file {
            case .file(let attributes, let body):
                try await save(body, attributes, to: target)
                return Found.done
            case .symlink(_, let destination):
                unlink(target)
                guard symlink(destination, target) == 0 else { throw FileFailure("make the link \(target)") }
                return Found.done
            case .directory(let attributes, let names):
                return Found.directory(attributes, names)
            }
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
    func show(_ path: String) async throws {
        try await client.file(path, of: container) { file in
            switch file {
            case .file(_, let body):
                while let bytes = try await body.next() { try FileIO.writeAll(bytes, to: STDOUT_FILENO) }
            case .symlink(_, let destination): Output.write(destination + "\n", to: STDOUT_FILENO)
            case .directory: throw Failure("\(path) is a directory")
            }
        }
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
