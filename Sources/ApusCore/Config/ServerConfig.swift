public import ApusAPI
import Synchronization

/// One of the daemon's own keys.
public struct ServerKey: Sendable {
    /// The key; with a trailing "*" every key that begins so.
    public let name: String
    /// What values it takes.
    public let kind: ConfigValueKind
    /// What holds when it is not set.
    public let defaultValue: String
    /// What it does.
    public let summary: String

    init(_ name: String, _ kind: ConfigValueKind, default defaultValue: String = "-", _ summary: String) {
        self.name = name
        self.kind = kind
        self.defaultValue = defaultValue
        self.summary = summary
    }

    func matches(_ key: String) -> Bool {
        name == key || (name.hasSuffix("*") && key.hasPrefix(name.dropLast()) && key.count >= name.count)
    }
}

/// The daemon's own keys and their values. A change takes effect at once.
public final class ServerConfig: Sendable {
    /// The table; the reference is made from it.
    public static let keys: [ServerKey] = [
        ServerKey(
            "core.proxy_https", .text, "The proxy through which image servers are reached: http://host:port"),
        ServerKey(
            "images.auto_update_cached", .bool, default: "true",
            "Whether images that were fetched from an image server for a container are kept up to date"),
        ServerKey(
            "images.auto_update_interval", .integer(0...8760), default: "6",
            "Hours between two looks for newer versions of images; 0 for none"),
        ServerKey(
            "images.compression_algorithm", .word(["zstd", "gzip", "xz", "bzip2", "none", "squashfs"]),
            default: "zstd", "How images that are published are compressed"),
        ServerKey(
            "images.remote_cache_expiry", .integer(0...36_500), default: "10",
            "Days after which a fetched or built image that no container was made from is deleted; 0 for never"
        ),
        ServerKey("user.*", .text, "Free for users"),
    ]

    private let store: Store
    private let values = Mutex<ConfigMap>([:])
    /// Held from the comparison of a tag to the end of the change.
    private let changing = Mutex(())

    init(store: Store) throws {
        self.store = store
        if let json = try store.serverValue("config") {
            let stored = try Store.value(ConfigMap.self, json)
            values.withLock { $0 = stored }
        }
    }

    /// All keys that are set.
    public var all: ConfigMap { values.withLock { $0 } }

    /// The value of a key, or what holds without one.
    subscript(key: String) -> String {
        if let value = values.withLock({ $0[key] }) { return value }
        let standard = Self.keys.first { $0.matches(key) }?.defaultValue ?? "-"
        return standard == "-" ? "" : standard
    }

    /// The tag of the keys.
    public func etag() throws -> String { try ETag.of(all) }

    /// Changes keys.
    /// - Parameter merge: whether keys that are not given stay as they are; an empty value unsets.
    func update(_ new: ConfigMap, merge: Bool, ifMatch: String?) throws {
        try changing.withLock { _ in
            try ETag.check(ifMatch, against: try etag())
            for (key, value) in new.sorted(by: { $0.key < $1.key }) { try Self.check(key, value) }
            let changed = (merge ? all.merging(new) { $1 } : new).filter { !$0.value.isEmpty }
            try store.setServerValue("config", try Store.json(changed))
            values.withLock { $0 = changed }
        }
    }

    private static func check(_ key: String, _ value: String) throws {
        guard let entry = keys.first(where: { $0.matches(key) }) else {
            throw ServiceError.badRequest(
                "Unknown server configuration key: \"\(key)\"; there are \(keys.map(\.name).joined(separator: ", "))"
            )
        }
        guard !value.utf8.contains(0), value.utf8.count <= 65_536 else {
            throw ServiceError.badRequest("The value of \"\(key)\" is too long, or has a zero byte")
        }
        if !value.isEmpty, let problem = entry.kind.problem(value) {
            throw ServiceError.badRequest("Invalid value for \"\(key)\": \"\(value)\" \(problem)")
        }
    }

    /// The reference's table, as docs/reference/configuration.md has it.
    public static func markdown() -> String {
        var text = "| key | type | default | what it does |\n|---|---|---|---|\n"
        for key in keys {
            text += "| `\(key.name)` | \(key.kind.name) | \(key.defaultValue) | \(key.summary) |\n"
        }
        return text
    }
}
