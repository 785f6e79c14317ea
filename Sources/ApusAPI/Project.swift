/// A project; there is one.
public struct Project: Codable, Sendable, Equatable {
    /// Its name.
    @Defaulted public var name: String
    /// What it is.
    @Defaulted public var description: String
    /// What it has of its own.
    @Defaulted public var config: ConfigMap
    /// URLs of what is in it.
    @Defaulted public var usedBy: [String]

    enum CodingKeys: String, CodingKey {
        case name, description, config
        case usedBy = "used_by"
    }

    /// A project.
    public init(name: String, description: String, config: ConfigMap, usedBy: [String]) {
        self.name = name
        self.description = description
        self.config = config
        self.usedBy = usedBy
    }
}
