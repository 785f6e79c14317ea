/// A device of a container or profile: its name and its keys.
public struct Device: Sendable, Hashable, Codable {
    /// The name it has in the configuration, such as `eth0`.
    public let name: String
    /// Its keys, `type` among them.
    public let config: [String: String]

    /// A device.
    public init(_ name: String, _ config: [String: String]) {
        self.name = name
        self.config = config
    }

    /// `nic`, `disk` …
    public var type: String { self["type"] ?? "" }

    /// The value of a key; nil when it is not set, or empty.
    public subscript(key: String) -> String? {
        guard let value = config[key], !value.isEmpty else { return nil }
        return value
    }

    /// An error about this device.
    func refuse(_ reason: String) -> ServiceError { .badRequest("Device \"\(name)\": \(reason)") }
}
