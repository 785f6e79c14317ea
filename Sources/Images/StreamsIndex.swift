import FoundationEssentials

/// `streams/v1/index.json`: which files list the products of a server.
struct StreamsIndex: Decodable {
    struct Entry: Decodable {
        var datatype: String?
        var path: String?
        var format: String?
    }
    var index: [String: Entry]

    /// The paths of the lists of images.
    var productPaths: [String] {
        index.values.filter { $0.datatype == "image-downloads" }.compactMap(\.path).sorted()
    }
}

/// A list of products, such as `streams/v1/images.json`.
struct StreamsProducts: Decodable {
    struct Product: Decodable {
        var aliases: String?
        var arch: String?
        var os: String?
        var release: String?
        var releaseTitle: String?
        var variant: String?
        var version: String?
        var versions: [String: Version]?

        enum CodingKeys: String, CodingKey {
            case aliases, arch, os, release, variant, version, versions
            case releaseTitle = "release_title"
        }
    }

    struct Version: Decodable {
        var items: [String: Item]?
    }

    struct Item: Decodable {
        var ftype: String?
        var path: String?
        var sha256: String?
        var size: Int64?
        var combined: String?
        var combinedSquashfs: String?
        var combinedRootXZ: String?

        enum CodingKeys: String, CodingKey {
            case ftype, path, sha256, size
            case combined = "combined_sha256"
            case combinedSquashfs = "combined_squashfs_sha256"
            case combinedRootXZ = "combined_rootxz_sha256"
        }
    }

    var products: [String: Product]
}

/// An image that a server offers.
public struct RemoteImage: Sendable, Hashable {
    /// One file of it.
    public struct File: Sendable, Hashable {
        /// Its path below the server's address.
        public let path: String
        /// What it has to sum up to.
        public let sha256: String
        /// Its size in bytes.
        public let size: Int64
    }

    /// The fingerprint it will have in a store.
    public let fingerprint: String
    /// Its names.
    public let aliases: [String]
    /// The machine's architecture, as the kernel calls it.
    public let architecture: String
    /// os, release, description …
    public let properties: [String: String]
    /// When it was made, in seconds since 1970, as far as its serial tells.
    public let created: Int64
    /// One file, or two: the metadata and the root file system.
    public let files: [File]

    /// Its size in bytes.
    public var size: Int64 { files.reduce(0) { $0 + $1.size } }
}

extension StreamsProducts {
    /// The images for machines that this one can play, the newest version of a product first. Only the newest version
    /// has the product's aliases.
    func images() -> [RemoteImage] {
        products.sorted { $0.key < $1.key }.flatMap { _, product -> [RemoteImage] in
            guard let arch = product.arch, ImageArchitecture.isSupported(arch) else { return [] }
            let versions = (product.versions ?? [:]).sorted { $0.key > $1.key }
            var isNewest = true
            return versions.compactMap { serial, version in
                let image = version.image(serial, of: product, arch: arch, isNewest: isNewest)
                if image != nil { isNewest = false }
                return image
            }
        }
    }
}

extension StreamsProducts.Version {
    fileprivate func image(
        _ serial: String, of product: StreamsProducts.Product, arch: String, isNewest: Bool
    ) -> RemoteImage? {
        guard let (fingerprint, files) = files else { return nil }
        var properties: [String: String] = [:]
        properties["os"] = product.os
        properties["release"] = product.release
        properties["variant"] = product.variant
        properties["version"] = product.version
        properties["architecture"] = arch
        properties["serial"] = serial
        let title = [product.os, product.releaseTitle ?? product.release, arch].compactMap { $0 }
        properties["description"] = "\(title.joined(separator: " ")) (\(serial))"
        let names = (product.aliases ?? "").split(separator: ",").map(String.init).filter { !$0.isEmpty }
        return RemoteImage(
            fingerprint: fingerprint, aliases: isNewest ? names + names.map { "\($0)/\(arch)" } : [],
            architecture: ImageArchitecture.kernelName(of: arch), properties: properties,
            created: Self.seconds(serial), files: files)
    }

    /// The files to fetch and the fingerprint of them together. A split image with squashfs is the smallest.
    private var files: (String, [RemoteImage.File])? {
        let items = items ?? [:]
        func first(_ types: [String]) -> StreamsProducts.Item? {
            items.sorted { $0.key < $1.key }.map(\.value).first { types.contains($0.ftype ?? "") }
        }
        if let head = first(["lxd.tar.xz", "incus.tar.xz"]), let metadata = head.file {
            if let root = first(["squashfs"])?.file, let sum = head.combinedSquashfs ?? head.combined {
                return Self.checked(sum, [metadata, root])
            }
            if let root = first(["root.tar.xz"])?.file, let sum = head.combinedRootXZ ?? head.combined {
                return Self.checked(sum, [metadata, root])
            }
        }
        if let item = first(["lxd_combined.tar.gz", "incus_combined.tar.gz"]), let file = item.file {
            return Self.checked(file.sha256, [file])
        }
        return nil
    }

    private static func checked(_ sum: String, _ files: [RemoteImage.File]) -> (String, [RemoteImage.File])? {
        ImageStore.isFingerprint(sum) ? (sum, files) : nil
    }

    /// "20261123_05:24" and "20261123" as seconds since 1970.
    private static func seconds(_ serial: String) -> Int64 {
        let digits = serial.filter(\.isNumber).compactMap { $0.wholeNumberValue }
        guard digits.count >= 8 else { return 0 }
        func number(_ range: Range<Int>) -> Int {
            range.upperBound <= digits.count ? digits[range].reduce(0) { $0 * 10 + $1 } : 0
        }
        // Days since 1970 by the civil calendar.
        let (year, month, day) = (number(0..<4), number(4..<6), number(6..<8))
        let y = month <= 2 ? year - 1 : year
        let era = y / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        return Int64(days * 86_400 + number(8..<10) * 3600 + number(10..<12) * 60)
    }
}

extension StreamsProducts.Item {
    fileprivate var file: RemoteImage.File? {
        guard let path, let sha256, let size, size > 0, ImageStore.isFingerprint(sha256.lowercased()),
            !path.split(separator: "/").contains("..")
        else { return nil }
        return RemoteImage.File(path: path, sha256: sha256.lowercased(), size: size)
    }
}
