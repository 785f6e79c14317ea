public import ApusAPI
import Images
import Storage

/// What a container has from its image beside its files: metadata, and templates that are filled when it is made or
/// starts.
extension ContainerService {
    /// The largest template, in bytes.
    public static let largestTemplate = VolumeMetadata.largestTemplate

    /// A container's metadata.
    public func metadata(_ name: String) throws -> InstanceMetadata {
        try saying { InstanceMetadata(try volumeMetadata(name).read()) }
    }

    /// Replaces a container's metadata.
    public func setMetadata(_ name: String, _ metadata: InstanceMetadata, ifMatch: String?) throws {
        try ETag.check(ifMatch, against: ETag.of(try self.metadata(name)))
        guard !metadata.architecture.isEmpty else {
            throw ServiceError.badRequest("The metadata of an image names its architecture")
        }
        try saying { try volumeMetadata(name).write(ImageMetadata(metadata)) }
    }

    /// The names of a container's templates.
    public func templates(_ name: String) throws -> [String] {
        try saying { try volumeMetadata(name).templates() }
    }

    /// A template's text.
    public func template(_ template: String, of name: String) throws -> [UInt8] {
        try saying { try volumeMetadata(name).template(template) }
    }

    /// Makes or replaces a template.
    public func setTemplate(_ template: String, _ content: [UInt8], of name: String) throws {
        try saying { try volumeMetadata(name).write(template: template, content) }
    }

    /// Removes a template.
    public func removeTemplate(_ template: String, of name: String) throws {
        try saying { try volumeMetadata(name).remove(template: template) }
    }

    private func volumeMetadata(_ name: String) throws -> VolumeMetadata {
        let driver = try pools.driver(try entry(name).record.pool)
        return VolumeMetadata(volume: driver.directory(of: .container(name)), of: name)
    }

    private func saying<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as ImageError {
            throw error.code == .notFound
                ? ServiceError.notFound(error.message) : ServiceError.badRequest(error.message)
        }
    }
}

extension InstanceMetadata {
    /// As the API shows it.
    init(_ metadata: ImageMetadata) {
        self.init()
        architecture = metadata.architecture
        creationDate = metadata.creationDate
        expiryDate = metadata.expiryDate ?? 0
        properties = metadata.properties
        templates = metadata.templates.mapValues { template in
            var shown = InstanceTemplate()
            shown.when = template.when
            shown.createOnly = template.createOnly
            shown.template = template.template
            shown.properties = template.properties
            return shown
        }
    }
}

extension ImageMetadata {
    /// What the API was given.
    init(_ metadata: InstanceMetadata) {
        self.init(
            architecture: metadata.architecture, creationDate: metadata.creationDate,
            expiryDate: metadata.expiryDate > 0 ? metadata.expiryDate : nil, properties: metadata.properties,
            templates: metadata.templates.mapValues {
                Template(
                    when: $0.when, template: $0.template, createOnly: $0.createOnly,
                    properties: $0.properties)
            })
    }
}
