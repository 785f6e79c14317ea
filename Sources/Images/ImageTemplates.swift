import CArchive
import Glibc
import LinuxSystem

/// What the templates of an image are filled with.
public struct TemplateValues: Sendable, Hashable {
    /// The container's name.
    public var name: String
    /// The container's architecture.
    public var architecture: String
    /// Whether it is privileged.
    public var isPrivileged: Bool
    /// The container's configuration, for `config_get`.
    public var config: [String: String]

    /// Values of a container.
    public init(
        name: String, architecture: String = "", isPrivileged: Bool = false, config: [String: String] = [:]
    ) {
        self.name = name
        self.architecture = architecture
        self.isPrivileged = isPrivileged
        self.config = config
    }
}

/// The templates of an image: files of the container that know its name or configuration.
public enum ImageTemplates {
    /// The moments at which templates are applied.
    public enum Event: String, Sendable {
        /// A container was made from the image.
        case create
        /// A container was copied.
        case copy
        /// A container was renamed.
        case rename
        /// A container is about to start.
        case start
    }

    /// Writes the files that a volume's templates make at an event, inside its root file system.
    /// Returns what could not be made, in words: templates never keep a container from running.
    public static func apply(
        _ event: Event, volume directory: String, values: TemplateValues
    ) async throws -> [String] {
        let root = try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY)
        guard
            let file = try? root.open(at: "metadata.yaml", O_RDONLY, resolve: [.beneath, .noSymlinks]),
            let text = try? file.readAll(limit: ImageMetadata.largestFile)
        else { return [] }
        let metadata = try ImageMetadata(yaml: text, of: "the image of \(values.name)")
        var notes: [String] = []
        for (path, template) in metadata.templates.sorted(by: { $0.key < $1.key })
        where template.when.contains(event.rawValue) {
            do {
                let text = try read(template, below: root)
                let content = try TemplateText.render(
                    text, values: values, properties: template.properties, path: path)
                let rootfs = try root.open(at: "rootfs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                try write(content, to: path, createOnly: template.createOnly, below: rootfs)
            } catch {
                notes.append("template \(template.template) for \(path): \(error)")
            }
        }
        return notes
    }

    private static func read(_ template: ImageMetadata.Template, below root: FileDescriptor) throws -> String
    {
        let file = try root.open(
            at: "templates/" + template.template, O_RDONLY | O_NONBLOCK, resolve: [.beneath, .noSymlinks])
        return String(decoding: try file.readAll(limit: 1 << 20), as: UTF8.self)
    }

    /// Writes a file of the container; no symlink in it leads outside, and a file that is there keeps its
    /// owner.
    private static func write(
        _ content: String, to path: String, createOnly: Bool, below rootfs: FileDescriptor
    ) throws {
        var parts = path.split(separator: "/").map(String.init)
        guard let name = parts.popLast(), name != ".." else { return }
        let directory = try rootfs.open(
            at: parts.isEmpty ? "." : parts.joined(separator: "/"), O_RDONLY | O_DIRECTORY,
            resolve: [.inRoot, .noMagicLinks])
        var old = stat()
        let exists = fstatat(directory.rawValue, name, &old, AT_SYMLINK_NOFOLLOW) == 0
        if exists && createOnly { return }
        // A new file takes the name at once: a reader sees the old or the new one, and a symlink is replaced.
        let temporary = ".\(name).apus-\(getpid())"
        unlinkat(directory.rawValue, temporary, 0)
        do {
            let file = try directory.open(
                at: temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o644)
            try file.write(content)
            let isFile = exists && old.st_mode & S_IFMT == S_IFREG
            if isFile { fchown(file.rawValue, old.st_uid, old.st_gid) }
            fchmod(file.rawValue, isFile ? old.st_mode & 0o777 : 0o644)
            if renameat(directory.rawValue, temporary, directory.rawValue, name) != 0 {
                throw SystemError("renameat", "write \(path)")
            }
        } catch {
            unlinkat(directory.rawValue, temporary, 0)
            throw error
        }
    }
}

/// The part of the pongo2 language that templates of container images use: values in `{{ }}`.
enum TemplateText {
    static func render(
        _ text: String, values: TemplateValues, properties: [String: String], path: String
    ) throws -> String {
        if text.contains("{%") {
            throw ImageError(.invalid, "it has control structures ({% … %}), which are not known here")
        }
        var result = ""
        var rest = text[...]
        while let start = rest.firstRange(of: "{{") {
            guard let end = rest[start.upperBound...].firstRange(of: "}}") else {
                throw ImageError(.invalid, "a {{ is not closed")
            }
            result += rest[..<start.lowerBound]
            let expression = rest[start.upperBound..<end.lowerBound]
            result += try value(of: trimmed(expression), values: values, properties: properties, path: path)
            rest = rest[end.upperBound...]
        }
        return result + rest
    }

    private static func value(
        of expression: Substring, values: TemplateValues, properties: [String: String], path: String
    ) throws -> String {
        if let call = expression.wholeMatch(of: #/config_get\(\s*"([^"]*)"\s*,\s*"([^"]*)"\s*\)/#) {
            return values.config[String(call.1)] ?? String(call.2)
        }
        switch expression {
        case "container.name", "instance.name": return values.name
        case "container.architecture", "instance.architecture": return values.architecture
        case "container.privileged", "instance.privileged": return values.isPrivileged ? "true" : "false"
        case "path": return path
        default: break
        }
        if expression.hasPrefix("properties."), let value = properties[String(expression.dropFirst(11))] {
            return value
        }
        throw ImageError(.invalid, "\"\(expression)\" is not known here")
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
