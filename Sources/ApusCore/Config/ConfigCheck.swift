import ContainerRuntime

/// Checks configurations before they are kept.
public enum ConfigCheck {
    /// Refuses unknown keys, wrong values, and keys that are not the user's to set.
    /// - Parameters:
    ///   - config: the new configuration.
    ///   - old: the present one; keys of the daemon must stay as they are there.
    public static func check(_ config: [String: String], old: [String: String] = [:]) throws {
        for (key, value) in config.sorted(by: { $0.key < $1.key }) where old[key] != value {
            try check(key, value)
        }
        for (key, value) in old where ConfigKeys.find(key)?.owner == .daemon && config[key] != value {
            throw ServiceError.badRequest("\"\(key)\" is kept by the daemon and cannot be changed")
        }
    }

    private static func check(_ key: String, _ value: String) throws {
        let known = ConfigKeys.all.contains { $0.name == key }
        if !known, let refused = ConfigKeys.refused.first(where: { key.hasPrefix($0.prefix) }) {
            throw ServiceError.badRequest("Config key \"\(key)\" is not supported: \(refused.reason)")
        }
        guard let entry = ConfigKeys.find(key) else {
            throw ServiceError.badRequest("Unknown configuration key: \"\(key)\"\(hint(key))")
        }
        guard entry.owner != .daemon else {
            throw ServiceError.badRequest("\"\(key)\" is kept by the daemon and cannot be set")
        }
        guard !key.utf8.contains(0), !value.utf8.contains(0), value.utf8.count <= 65_536 else {
            throw ServiceError.badRequest("The value of \"\(key)\" is too long, or has a zero byte")
        }
        if key.hasPrefix("environment."), key.contains("=") {
            throw ServiceError.badRequest(
                "The name of an environment variable cannot contain \"=\": \"\(key)\"")
        }
        guard !value.isEmpty else { return }
        if let problem = entry.kind.problem(value) {
            throw ServiceError.badRequest("Invalid value for \"\(key)\": \"\(value)\" \(problem)")
        }
    }

    /// What the user may have meant.
    private static func hint(_ key: String) -> String {
        guard key.hasPrefix("limits.kernel.") else { return "" }
        return "; there are limits of \(KernelLimit.resources.map(\.name).joined(separator: ", "))"
    }

    /// Refuses devices that this version does not have, and keys and values that their types do not have.
    public static func check(devices: [String: [String: String]]) throws { try DeviceTypes.check(devices) }
}
