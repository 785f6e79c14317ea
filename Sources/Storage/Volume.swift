/// A volume of a storage pool, named as its user knows it.
public enum Volume: Hashable, Sendable, CustomStringConvertible {
    /// An unpacked image, kept to make containers from.
    case image(fingerprint: String)
    /// The files of a container.
    case container(String)
    /// The files of a container at one instant.
    case snapshot(container: String, name: String)
    /// A volume that belongs to no container: its users attach it to as many as they like.
    case custom(String)

    /// How messages name the volume.
    public var description: String {
        switch self {
        case .image(let fingerprint): "image \(fingerprint.prefix(12))"
        case .container(let name): "container \(name)"
        case .snapshot(let container, let name): "snapshot \(container)/\(name)"
        case .custom(let name): "volume \(name)"
        }
    }

    /// The volume's directory below that of its pool.
    var relativePath: String {
        switch self {
        case .image(let fingerprint): "images/\(fingerprint)"
        case .container(let name): "containers/\(name)"
        case .snapshot(let container, let name): "snapshots/\(container)/\(name)"
        case .custom(let name): "custom/\(name)"
        }
    }

    /// Refuses names that are not one plain path component.
    public func validate() throws {
        let parts: [String] =
            switch self {
            case .image(let fingerprint): [fingerprint]
            case .container(let name), .custom(let name): [name]
            case .snapshot(let container, let name): [container, name]
            }
        for part in parts where !Volume.isValidName(part) {
            throw StorageError(
                .invalidName,
                "\"\(part)\" cannot name a volume: use up to 200 characters other than \"/\", not starting with a dot"
            )
        }
    }

    /// Whether a name can be one path component of a pool.
    public static func isValidName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 200 && !name.utf8.contains(UInt8(ascii: "/"))
            && !name.utf8.contains(0) && !name.hasPrefix(".")
    }
}
