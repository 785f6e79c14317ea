/// The types of devices there are, and the checks that go by their tables.
public enum DeviceTypes {
    /// All types, in the order of the reference.
    static let all: [any DeviceType] = [
        RootDisk(), DiskDevice(), BridgedNIC(), PointToPointNIC(), MacvlanNIC(), PhysicalNIC(),
        NoDevice(),
    ]

    /// The type of a device.
    static func find(_ device: Device) throws -> any DeviceType {
        if let type = all.first(where: { $0.describes(device) }) { return type }
        guard !device.type.isEmpty else { throw device.refuse("it has no type") }
        throw device.refuse(
            "a device of type \"\(device.type)\" with these keys cannot be added in this version")
    }

    /// Refuses devices that this version does not have, keys that their type does not have, and wrong values.
    static func check(_ devices: [String: [String: String]]) throws {
        for (name, config) in devices.sorted(by: { $0.key < $1.key }) {
            let device = Device(name, config)
            try checkName(device)
            let type = try find(device)
            try checkKeys(device, type)
            try type.check(device)
        }
    }

    private static func checkName(_ device: Device) throws {
        guard !device.name.isEmpty, device.name.utf8.count <= 64,
            !device.name.utf8.contains(where: { $0 <= 32 || $0 == UInt8(ascii: "/") || $0 == 127 }),
            !device.name.hasPrefix(".")
        else {
            throw ServiceError.badRequest(
                "Invalid device name \"\(device.name)\": 1-64 characters, without spaces and \"/\", not starting with \".\""
            )
        }
    }

    private static func checkKeys(_ device: Device, _ type: any DeviceType) throws {
        for (key, value) in device.config.sorted(by: { $0.key < $1.key }) where key != "type" {
            if key.hasPrefix("user.") { continue }
            guard let entry = type.keys.first(where: { $0.name == key }) else {
                throw device.refuse(
                    "\(type.title) has no key \"\(key)\"; it has \(type.keys.map(\.name).joined(separator: ", "))"
                )
            }
            guard value.utf8.count <= 4096, !value.utf8.contains(0) else {
                throw device.refuse("the value of \"\(key)\" is too long, or has a zero byte")
            }
            if !value.isEmpty, let problem = entry.kind.problem(value) {
                throw device.refuse("invalid value for \"\(key)\": \"\(value)\" \(problem)")
            }
        }
        for key in type.keys where key.required && device[key.name] == nil {
            throw device.refuse("\(type.title) needs the key \"\(key.name)\"")
        }
    }

    /// The reference's tables, as docs/reference/devices.md has them.
    public static func markdown() -> String {
        var text = ""
        for type in all {
            text += "## \(type.title)\n\n\(type.summary)\n\nCheckpoints: \(type.checkpoint)\n\n"
            guard !type.keys.isEmpty else { continue }
            text += "| key | type | default | live | what it does |\n|---|---|---|---|---|\n"
            for key in type.keys {
                let fallback = key.required ? "(required)" : key.defaultValue
                text += "| `\(key.name)` | \(key.kind.name) | \(fallback) | \(key.live ? "yes" : "no") "
                text += "| \(key.summary) |\n"
            }
            text += "\n"
        }
        return text
    }
}
