/// The keys of storage pools and of custom volumes. The reference is made from these tables.
public enum StorageKeys {
    /// Keys of a pool.
    public static let pool: [ConfigKey] = [
        ConfigKey(
            "btrfs.mount_options", .text, default: "user_subvol_rm_allowed", live: false,
            "btrfs: options its file or device is mounted with, from the next time on"),
        ConfigKey(
            "shared", .bool, default: "false", live: false,
            "dir: its source lies on a file system that other hosts mount as well: between them no files are sent. Cannot be changed"
        ),
        ConfigKey(
            "size", .size, default: "a fifth of what is free, 5 to 30 GiB", live: true,
            "btrfs with a file of its own: how large the file can become; it can be made larger, not smaller"),
        ConfigKey(
            "source", .text, default: "a place of the daemon's own", live: false,
            "dir: a directory. btrfs: nothing for a file of its own, a block device, or a path on btrfs. Cannot be changed"
        ),
        ConfigKey("user.*", .text, live: true, "Free for users"),
        ConfigKey(
            "volatile.initial_source", .text, live: true, owner: .daemon,
            "The source as it was given when the pool was made"),
    ]

    /// Keys of a custom volume.
    public static let volume: [ConfigKey] = [
        ConfigKey(
            "size", .size, default: "no limit", live: true,
            "btrfs: how many bytes can be in it"),
        ConfigKey("user.*", .text, live: true, "Free for users"),
    ]

    /// Refuses keys that are not in a table, and wrong values.
    static func check(_ config: [String: String], _ table: [ConfigKey], _ what: String) throws {
        for (key, value) in config.sorted(by: { $0.key < $1.key }) {
            guard let entry = table.first(where: { $0.matches(key) }) else {
                throw ServiceError.badRequest("Unknown configuration key of a \(what): \"\(key)\"")
            }
            guard entry.owner == .user else {
                throw ServiceError.badRequest("\"\(key)\" is kept by the daemon and cannot be set")
            }
            if !value.isEmpty, let problem = entry.kind.problem(value) {
                throw ServiceError.badRequest("Invalid value for \"\(key)\": \"\(value)\" \(problem)")
            }
        }
    }

    /// A table for the reference.
    public static func markdown(_ table: [ConfigKey]) -> String {
        var text = "| key | type | default | live | what it does |\n|---|---|---|---|---|\n"
        for key in table where key.owner == .user {
            text += "| `\(key.name)` | \(key.kind.name) | \(key.defaultValue) | \(key.live ? "yes" : "no") "
            text += "| \(key.summary) |\n"
        }
        for key in table where key.owner != .user {
            text += "| `\(key.name)` | - | - | kept by the daemon | \(key.summary) |\n"
        }
        return text
    }
}
