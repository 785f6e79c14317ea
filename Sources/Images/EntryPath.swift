/// The path of an entry of an image, taken apart and found harmless.
struct EntryPath: Hashable {
    /// The deepest an entry may lie: each directory above it is held open.
    private static let deepest = 200

    /// The components, the first being `rootfs`, `templates` or `metadata.yaml`.
    let components: [String]

    /// Takes a path as relative to the image, and refuses one that would leave it.
    init(_ path: String, of image: String) throws {
        var components: [String] = []
        for part in path.split(separator: "/", omittingEmptySubsequences: true) where part != "." {
            if part == ".." {
                throw ImageError(
                    .hostile, "\(image) is refused: the entry \"\(path)\" would leave the image's directory")
            }
            if part.utf8.count > 255 {
                throw ImageError(.invalid, "\(image) is refused: an entry has a name longer than 255 bytes")
            }
            components.append(String(part))
        }
        if components.count > Self.deepest {
            throw ImageError(
                .invalid, "\(image) is refused: an entry lies more than \(Self.deepest) directories deep")
        }
        self.components = components
    }

    private init(components: [String]) { self.components = components }

    /// The path below the first components.
    func dropping(_ count: Int) -> EntryPath { EntryPath(components: Array(components.dropFirst(count))) }

    /// The whole path.
    var text: String { components.joined(separator: "/") }
    /// The directory the entry is in.
    var parent: ArraySlice<String> { components.dropLast() }
    /// The entry's own name.
    var name: String { components.last ?? "" }
    /// Whether it is part of an image, and not something beside it.
    var isOfImage: Bool {
        switch components.first {
        case "rootfs", "templates": true
        case "metadata.yaml": components.count == 1
        default: false
        }
    }
}
