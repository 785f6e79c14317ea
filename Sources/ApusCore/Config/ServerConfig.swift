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
            "backups.compression_algorithm", .word(["zstd", "gzip", "xz", "bzip2", "none"]),
            default: "zstd", "How backups of containers are compressed"),
        ServerKey(
            "core.https_address", .listenAddress,
            "Where the daemon listens on the network: ADDRESS:PORT, or :PORT for all addresses; not at all if it is not set"
        ),
        ServerKey(
            "core.proxy_https", .text, "The proxy through which image servers are reached: http://host:port"),
        ServerKey(
            "core.remote_token_expiry", .timeSpan, default: "24H",
            "How long a token is good with which a client adds itself: 30M (minutes), 24H (hours), 3d (days), 2w (weeks)"
        ),
        ServerKey(
            "core.trust_password", .password,
            "What a client that is not trusted yet can add itself with; shown as \"true\". Tokens are better: good once, and not for long"
        ),
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

    init(store: Store) throws {
        self.store = store
        if let json = try store.serverValue("config") {
            let stored = try Store.value(ConfigMap.self, json)
            values.withLock { $0 = stored }
        }
    }

    /// All keys that are set, as they may be shown: "true" for a password.
    public var all: ConfigMap { Self.shown(values.withLock { $0 }) }

    private static func shown(_ values: ConfigMap) -> ConfigMap {
        values.reduce(into: [:]) { shown, pair in
            shown[pair.key] = isPassword(pair.key) ? keptPassword : pair.value
        }
    }

    /// What is kept of the trust password; nil if there is none.
    var trustPasswordHash: String? { values.withLock { $0["core.trust_password"] } }

    /// The value of a key, or what holds without one.
    subscript(key: String) -> String {
        if let value = values.withLock({ $0[key] }) { return value }
        let standard = Self.keys.first { $0.matches(key) }?.defaultValue ?? "-"
        return standard == "-" ? "" : standard
    }

    /// The tag of the keys.
    public func etag() throws -> String { try ETag.of(values.withLock { $0 }) }

    /// What the keys will be after a change, checked; nothing is changed yet.
    /// - Parameter merge: whether keys that are not given stay as they are; an empty value unsets.
    func proposal(_ new: ConfigMap, merge: Bool, ifMatch: String?) async throws -> ConfigMap {
        try ETag.check(ifMatch, against: try etag())
        let present = values.withLock { $0 }
        var new = new
        for (key, value) in new.sorted(by: { $0.key < $1.key }) {
            // What was shown comes back with the other keys.
            if value == Self.keptPassword, Self.isPassword(key), let kept = present[key] {
                new[key] = kept
                continue
            }
            // `echo password | apus config set core.trust_password -` does not mean the end of the line.
            let value = Self.isPassword(key) && value.hasSuffix("\n") ? String(value.dropLast()) : value
            try Self.check(key, value)
            if Self.isPassword(key), !value.isEmpty { new[key] = try await PasswordHash.make(value) }
        }
        return (merge ? present.merging(new) { $1 } : new).filter { !$0.value.isEmpty }
    }

    /// Takes over what was proposed.
    func commit(_ proposal: ConfigMap) throws {
        try store.setServerValue("config", try Store.json(proposal))
        values.withLock { $0 = proposal }
    }

    /// What stands for a password that is set.
    private static let keptPassword = "true"

    private static func isPassword(_ key: String) -> Bool {
        keys.contains { $0.kind == .password && $0.matches(key) }
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
            let shown = entry.kind == .password ? "it" : "\"\(value)\""
            throw ServiceError.badRequest("Invalid value for \"\(key)\": \(shown) \(problem)")
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
