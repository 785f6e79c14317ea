import ApusAPI
import ApusClient
import ArgumentParser
import Glibc
import NIOHTTP1
import Yams

/// A storage pool or a volume whose keys and description people change.
package struct StorageTarget: Sendable {
    /// What it is, for messages: `storage pool fast`.
    package let label: String
    /// Its path in the REST API.
    package let path: String

    /// A storage pool.
    package init(pool: String) throws {
        let name = try ResourceName(pool).local()
        label = "storage pool \(name)"
        path = "/1.0/storage-pools/\(name.percentEncoded)"
    }

    /// A custom volume. `custom/` before its name, as LXD writes it, may be left out.
    package init(pool: String, volume: String) throws {
        let name = StorageTarget.volumeName(volume)
        label = "volume \(name)"
        path =
            "/1.0/storage-pools/\(try ResourceName(pool).local().percentEncoded)/volumes/custom/\(name.percentEncoded)"
    }

    /// A volume's name without the type before it.
    package static func volumeName(_ text: String) -> String {
        text.hasPrefix("custom/") ? String(text.dropFirst("custom/".count)) : text
    }

    /// The value of a key; nil if it is not set.
    func value(of key: String, _ client: Client) async throws -> String? {
        try await client.get(path, as: StoragePut.self).config[key]
    }

    /// Sets keys.
    func set(_ keys: [String: String], _ client: Client) async throws {
        try await client.send(.PATCH, path, StoragePatch(config: keys))
    }

    /// Takes keys away.
    func unset(_ keys: [String], _ client: Client) async throws {
        let (present, etag) = try await client.getTagged(path, as: StoragePut.self)
        var put = present
        for key in keys { put.config[key] = nil }
        try await client.send(.PUT, path, put, etag: etag)
    }

    /// Lets the user edit it, or takes YAML from standard input if that is no terminal.
    func edit(_ session: Session) async throws {
        let (present, etag) = try await session.client.getTagged(path, as: StoragePut.self)
        if !Terminal.isTerminal(STDIN_FILENO) {
            let text = try FileIO.standardInput()
            guard text.contains(where: { !$0.isWhitespace }) else { throw Failure("standard input is empty") }
            return try await apply(text, etag, session)
        }
        let original =
            "# The \(label), as YAML. What stands behind a # is ignored.\n" + (try Rendering.yaml(present))
        var text = original
        while true {
            text = try Editor.edit(text)
            if text == original { return }
            do {
                return try await apply(text, etag, session)
            } catch {
                Output.failure("\(error)")
                session.output.write("Edit again? (yes/no): ")
                guard readLine()?.lowercased().hasPrefix("y") == true else { throw ExitCode.failure }
            }
        }
    }

    private func apply(_ text: String, _ etag: String?, _ session: Session) async throws {
        let edited: StoragePut
        do {
            edited = try YAMLDecoder().decode(StoragePut.self, from: text)
        } catch let error as DecodingError {
            throw Failure("this is not the configuration of a \(label): \(error.summary)")
        } catch {
            throw Failure("this is not YAML: \(error)")
        }
        try await session.client.send(.PUT, path, edited, etag: etag)
    }
}
