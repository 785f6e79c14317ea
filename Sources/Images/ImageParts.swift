/// A file an image is made with, in place of the one of the same name that came otherwise.
struct ImagePart {
    enum Content {
        case file(String, mode: UInt32)
        case symlink(String)
        case directory(mode: UInt32)
    }

    /// The path below the root file system.
    let path: String
    let content: Content

    static func file(_ path: String, _ text: String, mode: UInt32 = 0o644) -> ImagePart {
        ImagePart(path: path, content: .file(text, mode: mode))
    }

    static func symlink(_ path: String, to target: String) -> ImagePart {
        ImagePart(path: path, content: .symlink(target))
    }

    static func directory(_ path: String, mode: UInt32 = 0o755) -> ImagePart {
        ImagePart(path: path, content: .directory(mode: mode))
    }
}

/// The templates of images built here: the container's name in the two files that know it.
enum BuiltTemplates {
    static let metadata: [String: ImageMetadata.Template] = [
        "/etc/hostname": .init(when: ["create", "copy", "rename"], template: "hostname.tpl"),
        "/etc/hosts": .init(when: ["create", "copy", "rename"], template: "hosts.tpl"),
    ]

    static let files: [(name: String, text: String)] = [
        ("hostname.tpl", "{{ container.name }}\n"),
        (
            "hosts.tpl",
            """
            127.0.0.1\tlocalhost
            127.0.1.1\t{{ container.name }}

            # The following lines are desirable for IPv6 capable hosts
            ::1\tlocalhost ip6-localhost ip6-loopback
            ff02::1\tip6-allnodes
            ff02::2\tip6-allrouters

            """
        ),
    ]
}

extension TarWriter {
    /// Writes what stands before the root file system in an image.
    func addHead(_ metadata: ImageMetadata) throws {
        try addFile("metadata.yaml", Array(try metadata.yaml().utf8))
        try addDirectory("templates/")
        for (name, text) in BuiltTemplates.files { try addFile("templates/\(name)", Array(text.utf8)) }
    }

    /// Adds a part of the root file system.
    func add(_ part: ImagePart) throws {
        switch part.content {
        case .file(let text, let mode): try addFile("rootfs/\(part.path)", Array(text.utf8), mode: mode)
        case .symlink(let target): try addSymlink("rootfs/\(part.path)", to: target)
        case .directory(let mode): try addDirectory("rootfs/\(part.path)/", mode: mode)
        }
    }
}
