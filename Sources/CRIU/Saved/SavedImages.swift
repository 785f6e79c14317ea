internal import LinuxSystem

/// The images of a dump, with a limit to what is read of one and of all.
struct SavedImages {
    private enum Place {
        case directory(String)
        case memory([String: [UInt8]])
    }

    /// The largest list that is read: a page list of some ten million pieces.
    private static let largestFile = 64 << 20
    /// All that is read together.
    private static let largestSum = 256 << 20

    private let place: Place
    private var room = largestSum

    init(directory: String) { place = .directory(directory) }

    init(bytes: [String: [UInt8]]) { place = .memory(bytes) }

    /// An image that may be missing.
    mutating func optional(_ name: String, _ magic: CRIUImage.Magic) throws(CRIUError) -> CRIUImage? {
        let image: CRIUImage
        switch place {
        case .directory(let directory):
            let path = "\(directory)/\(name)"
            guard Files.exists(path) else { return nil }
            image = try CRIUImage(path: path, magic: magic, largest: Self.largestFile)
        case .memory(let files):
            guard let bytes = files[name] else { return nil }
            image = try CRIUImage(name: name, bytes: bytes, magic: magic)
        }
        room -= image.entries.reduce(8) { $0 + 4 + $1.count }
        guard room >= 0 else {
            throw CRIUError(.badImage, "the images tell of more than can be shown (\(name))")
        }
        return image
    }

    /// An image that has to be there.
    mutating func required(_ name: String, _ magic: CRIUImage.Magic) throws(CRIUError) -> CRIUImage {
        guard let image = try optional(name, magic) else {
            throw CRIUError(.badImage, "\(name) is missing from the images")
        }
        return image
    }

    /// The only entry of an image that may be missing.
    mutating func entry(_ name: String, _ magic: CRIUImage.Magic) throws(CRIUError) -> (CRIUImage, [UInt8])? {
        guard let image = try optional(name, magic) else { return nil }
        guard let first = image.entries.first else {
            throw CRIUError(.badImage, "\(name) holds no entry")
        }
        return (image, first)
    }
}
