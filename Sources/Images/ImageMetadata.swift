/// What `metadata.yaml` of an image says, in LXD's format.
public struct ImageMetadata: Sendable, Hashable {
    /// When a template is applied and how its file is made.
    public struct Template: Sendable, Hashable {
        /// The events it is applied at: `create`, `copy`, `rename`, `start`.
        public var when: [String]
        /// The file's name below `templates/`.
        public var template: String
        /// Leave a file alone that exists already.
        public var createOnly: Bool
        /// Values for the template, beside those of the container.
        public var properties: [String: String]

        /// A template entry.
        public init(
            when: [String], template: String, createOnly: Bool = false, properties: [String: String] = [:]
        ) {
            self.when = when
            self.template = template
            self.createOnly = createOnly
            self.properties = properties
        }
    }

    /// The architecture by its kernel name: `x86_64`, `aarch64`.
    public var architecture: String
    /// Seconds since 1970.
    public var creationDate: Int64
    /// Seconds since 1970, or nil if the image never expires.
    public var expiryDate: Int64?
    /// `os`, `release`, `description` …
    public var properties: [String: String]
    /// Templates by the path of the file they make.
    public var templates: [String: Template]

    /// Metadata of an image.
    public init(
        architecture: String, creationDate: Int64, expiryDate: Int64? = nil,
        properties: [String: String] = [:], templates: [String: Template] = [:]
    ) {
        self.architecture = architecture
        self.creationDate = creationDate
        self.expiryDate = expiryDate
        self.properties = properties
        self.templates = templates
    }
}
