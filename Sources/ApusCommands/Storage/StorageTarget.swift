package import ApusAPI
import ApusClient
import NIOHTTP1

/// A storage pool or a volume whose keys and description people change.
package struct StorageTarget: Sendable {
    /// What it is, for messages: `storage pool fast`.
    package let label: String
    /// Its path in the REST API.
    package let path: String

    /// A storage pool.
    package init(pool: String) throws {
        let name = ResourceName(pool).name
        label = "storage pool \(name)"
        path = "/1.0/storage-pools/\(name.percentEncoded)"
    }

    /// A volume: `name` or `custom/name`, `container/name`, `container/name/snapshot`, or `image/fingerprint`.
    package init(pool: String, volume: String) throws {
        let parts = volume.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let isTyped = parts.count > 1 && ["custom", "container", "image"].contains(parts[0])
        let type = isTyped ? parts[0] : "custom"
        let name = parts.dropFirst(isTyped ? 1 : 0)
        label = "volume \(name.joined(separator: "/"))"
        path =
            "/1.0/storage-pools/\(ResourceName(pool).name.percentEncoded)/volumes/\(type)/"
            + (type == "container" && name.count == 2
                ? name.map(\.percentEncoded).joined(separator: "/snapshots/")
                : name.joined(separator: "/").percentEncoded)
    }

    /// A volume's name without the type before it.
    package static func volumeName(_ text: String) -> String {
        text.hasPrefix("custom/") ? String(text.dropFirst("custom/".count)) : text
    }

    /// The value of a key; nil if it is not set.
    func value(of key: String, _ client: Client) async throws -> String? {
        try await client.get(path, as: StoragePut.self).config[key]
    }

    /// Changes keys; begins anew if somebody else was quicker.
    func change(_ client: Client, _ edit: (inout StoragePut) throws -> Void) async throws {
        try await Client.change {
            try await client.getTagged(path, as: StoragePut.self)
        } _: {
            try edit(&$0)
        } send: { put, etag in
            try await client.send(.PUT, path, put, etag: etag)
        }
    }

    /// Sets keys; an empty value takes a key away.
    func set(_ keys: [String: String], _ client: Client) async throws {
        try await change(client) { put in
            put.config = put.config.merging(keys) { $1 }.filter { !$0.value.isEmpty }
        }
    }

    /// Takes keys away.
    func unset(_ keys: [String], _ client: Client) async throws {
        try await change(client) { put in
            for key in keys { put.config[key] = nil }
        }
    }

    /// Lets the user edit it, or takes YAML from standard input if that is no terminal.
    func edit(_ session: Session) async throws {
        let loop = EditLoop<EditableStorage>(
            preface: "# The \(label), as YAML. What stands behind a # is ignored.\n", noun: label,
            fetch: {
                let (put, etag) = try await session.client.getTagged(path, as: StoragePut.self)
                return (EditableStorage(put), etag)
            },
            send: { edited, etag in
                try await session.client.send(.PUT, path, edited.request, etag: etag)
            })
        try await loop.run(session.output)
    }
}

/// The part of a storage pool, or of a volume, that people edit, as YAML shows it.
package struct EditableStorage: Editable, Equatable {
    package var config: ConfigMap?
    package var description: String?

    package enum CodingKeys: String, CodingKey, CaseIterable { case config, description }

    package static let readOnly: Set = [
        "name", "driver", "status", "locations", "used_by", "type", "location", "content_type", "project",
        "created_at",
    ]

    package init(_ put: StoragePut) {
        config = put.config
        description = put.description
    }

    /// What is sent to the daemon.
    package var request: StoragePut { StoragePut(config: config ?? [:], description: description ?? "") }
}
