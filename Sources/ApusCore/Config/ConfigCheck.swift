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
        if let refused = ConfigKeys.refused.first(where: { key.hasPrefix($0.prefix) }) {
            throw ServiceError.badRequest("Config key \"\(key)\" is not supported: \(refused.reason)")
        }
        guard let entry = ConfigKeys.find(key) else {
            throw ServiceError.badRequest("Unknown configuration key: \"\(key)\"")
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
        if let problem = problem(entry.kind, value) {
            throw ServiceError.badRequest("Invalid value for \"\(key)\": \"\(value)\" \(problem)")
        }
    }

    private static func problem(_ kind: ConfigValueKind, _ value: String) -> String? {
        switch kind {
        case .text:
            return nil
        case .bool:
            return ConfigValues.bool(value) == nil ? "is not \"true\" or \"false\"" : nil
        case .integer(let range):
            guard let number = Int64(value), range.contains(number) else {
                return "is not a whole number from \(range.lowerBound) to \(range.upperBound)"
            }
            return nil
        case .bytes:
            return ConfigValues.memory(value, total: 1 << 40) == nil
                ? "is not a size such as \"512MiB\" or a percentage such as \"50%\"" : nil
        case .cpus:
            return ConfigValues.cpus(value, online: 1 << 16) == nil
                ? "is not a number of processors such as \"2\" or a set such as \"0-1,3\"" : nil
        case .allowance:
            return ConfigValues.allowance(value) == nil
                ? "is not a percentage such as \"50%\" or a time such as \"25ms/100ms\"" : nil
        case .word(let words):
            return words.contains(value) ? nil : "is not one of \(words.joined(separator: ", "))"
        }
    }

    /// Refuses devices that this version does not have.
    public static func check(devices: [String: [String: String]]) throws {
        for (name, device) in devices.sorted(by: { $0.key < $1.key }) {
            switch device["type"] {
            case "none": continue
            case "disk" where device["path"] == "/":
                for key in device.keys where !["type", "path", "pool"].contains(key) {
                    throw ServiceError.badRequest(
                        "Device \"\(name)\": a root disk has the keys path and pool; \"\(key)\" is not one of them"
                    )
                }
            case nil, "":
                throw ServiceError.badRequest("Device \"\(name)\" has no type")
            case .some(let type):
                throw ServiceError.badRequest(
                    "Device \"\(name)\": this version has only the root disk (type disk, path /); "
                        + "a device of type \"\(type)\" cannot be added yet")
            }
        }
    }
}
