import Glibc
import LinuxSystem

/// What a container's volume has of its image beside the files: `metadata.yaml` and `templates/`.
public struct VolumeMetadata: Sendable {
    /// The largest template.
    public static let largestTemplate = 1 << 20

    private let directory: String
    private let name: String

    /// That of a volume.
    /// - Parameters:
    ///   - directory: the volume's.
    ///   - name: whose it is, for errors.
    public init(volume directory: String, of name: String) {
        self.directory = directory
        self.name = name
    }

    /// Reads it; an empty one where an image had none.
    /// - Throws: `ImageError` where it cannot be read.
    public func read() throws -> ImageMetadata {
        let root = try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY)
        guard let file = try? root.open(at: "metadata.yaml", O_RDONLY, resolve: [.beneath, .noSymlinks])
        else {
            return ImageMetadata(architecture: "", creationDate: 0)
        }
        return try ImageMetadata(
            yaml: try file.readAll(limit: ImageMetadata.largestFile), of: "the image of \(name)")
    }

    /// Replaces it as a whole.
    public func write(_ metadata: ImageMetadata) throws {
        let text = try metadata.yaml()
        // What cannot be read again is not written.
        _ = try ImageMetadata(yaml: Array(text.utf8), of: name)
        try Files.replace(directory + "/metadata.yaml", Array(text.utf8), mode: 0o644)
    }

    /// The names of the templates.
    public func templates() throws -> [String] {
        try folder() == nil ? [] : Files.names(in: directory + "/templates").sorted()
    }

    /// A template's text.
    /// - Throws: `ImageError` if there is none of the name.
    public func template(_ template: String) throws -> [UInt8] {
        try check(template)
        let root = try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY)
        let file: FileDescriptor
        do {
            file = try root.open(
                at: "templates/" + template, O_RDONLY | O_NONBLOCK, resolve: [.beneath, .noSymlinks])
        } catch let error as SystemError where error.errno == ENOENT {
            throw ImageError(.notFound, "\(name) has no template \"\(template)\"")
        }
        return try file.readAll(limit: Self.largestTemplate)
    }

    /// Makes a template, or replaces it.
    public func write(template: String, _ content: [UInt8]) throws {
        try check(template)
        if try folder() == nil { try Files.makeDirectories(directory + "/templates", mode: 0o755) }
        try Files.replace("\(directory)/templates/\(template)", content, mode: 0o644)
    }

    /// Removes a template.
    /// - Throws: `ImageError` if there is none of the name.
    public func remove(template: String) throws {
        _ = try self.template(template)
        _ = try LinuxSystem.check("unlink", "remove the template \(template) of \(name)") {
            unlink("\(directory)/templates/\(template)")
        }
    }

    /// The folder of the templates; nil if there is none.
    /// - Throws: if it is something else than a folder of the volume.
    private func folder() throws -> FileDescriptor? {
        let root = try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY)
        do {
            return try root.open(at: "templates", O_RDONLY | O_DIRECTORY, resolve: [.beneath, .noSymlinks])
        } catch let error as SystemError where error.errno == ENOENT {
            return nil
        }
    }

    private func check(_ template: String) throws {
        guard !template.isEmpty, template.utf8.count <= 255, !template.hasPrefix("."),
            !template.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 < 0x20 || $0 == 0x7F })
        else {
            throw ImageError(
                .invalid,
                "\"\(template)\" cannot be the name of a template: no slashes, and no dot at its beginning"
            )
        }
    }
}
