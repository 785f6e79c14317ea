/// A set of keys and devices that containers share.
public struct Profile: Codable, Sendable, Equatable {
    /// Keys.
    @Defaulted public var config: ConfigMap
    /// Free text.
    @Defaulted public var description: String
    /// Devices.
    @Defaulted public var devices: DevicesMap
    /// Its name.
    @Defaulted public var name: String
    /// URLs of the containers that have it.
    @Defaulted public var usedBy: [String]

    enum CodingKeys: String, CodingKey {
        case config, description, devices, name
        case usedBy = "used_by"
    }

    /// An empty profile.
    public init(name: String = "") { self.name = name }
}

/// What `PUT /1.0/profiles/<name>` takes.
public struct ProfilePut: Codable, Sendable, Equatable {
    /// Keys.
    @Defaulted public var config: ConfigMap
    /// Free text.
    @Defaulted public var description: String
    /// Devices.
    @Defaulted public var devices: DevicesMap

    /// Nothing set.
    public init() {}
}
