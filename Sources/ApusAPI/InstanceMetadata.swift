/// The metadata that a container has from its image: `GET /1.0/instances/<name>/metadata`.
public struct InstanceMetadata: Codable, Sendable, Equatable {
    /// For which processors it is.
    @Defaulted public var architecture: String
    /// When the image was made, in seconds since 1970.
    @Defaulted public var creationDate: Int64
    /// When it is outdated, in seconds since 1970; 0 for never.
    @Defaulted public var expiryDate: Int64
    /// The image's properties.
    @Defaulted public var properties: [String: String]
    /// The files that are made of templates, by their paths in the container.
    @Defaulted public var templates: [String: InstanceTemplate]

    enum CodingKeys: String, CodingKey {
        case architecture, properties, templates
        case creationDate = "creation_date"
        case expiryDate = "expiry_date"
    }

    /// Nothing known.
    public init() {}
}

/// A file that is made of a template.
public struct InstanceTemplate: Codable, Sendable, Equatable {
    /// On what events: create, copy, rename, start.
    @Defaulted public var when: [String]
    /// Whether a file that is there stays as it is.
    @Defaulted public var createOnly: Bool
    /// The template's name.
    @Defaulted public var template: String
    /// What the template may ask for.
    @Defaulted public var properties: [String: String]

    enum CodingKeys: String, CodingKey {
        case when, template, properties
        case createOnly = "create_only"
    }

    /// A template for nothing.
    public init() {}
}
