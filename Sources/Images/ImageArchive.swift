import Glibc
import LinuxSystem
import Storage

/// Image files: unified tarballs in LXD's format, with `metadata.yaml`, `templates/` and `rootfs/`.
public enum ImageArchive {
    /// Reads a file to its end, and refuses it if it is damaged, hostile or too large. Returns its metadata.
    public static func inspect(_ path: String, limits: UnpackLimits = UnpackLimits()) async throws
        -> ImageMetadata
    {
        try await Blocking.run { try inspectNow(path, limits: limits) }
    }

    /// Unpacks a file into an empty directory. The caller removes the directory if this fails.
    /// `progress` gets the share of the file that has been read, between 0 and 1, now and then.
    public static func unpack(
        _ path: String, into directory: String, limits: UnpackLimits = UnpackLimits(),
        progress: (@Sendable (Double) -> Void)? = nil
    ) async throws -> UnpackReport {
        try await Blocking.run { try unpackNow(path, into: directory, limits: limits, progress: progress) }
    }

    private static func inspectNow(_ path: String, limits: UnpackLimits) throws -> ImageMetadata {
        let image = "the image file"
        return try TarReader.withUnicodeNames {
            let reader = try TarReader(path: path)
            var metadata: ImageMetadata?
            var hasRoot = false
            var entries: UInt64 = 0
            var bytes: UInt64 = 0
            while let entry = try reader.next() {
                let name = try EntryPath(entry.path, of: image)
                entries += 1
                let size = UInt64(max(0, entry.size))
                if size > limits.fileSize {
                    throw tooLarge(image, "\(name.text) claims to be \(size) bytes large")
                }
                if !entry.isSparse { bytes += size }
                if bytes > limits.bytes {
                    throw tooLarge(image, "it unpacks to more than \(limits.bytes) bytes")
                }
                if entries > limits.entries {
                    throw tooLarge(image, "it has more than \(limits.entries) entries")
                }
                if name.components.first == "rootfs" { hasRoot = true }
                if name.text == "metadata.yaml", entry.type == FileType.regular {
                    let text = try reader.readAll(limit: ImageMetadata.largestFile, entry: "metadata.yaml")
                    metadata = try ImageMetadata(yaml: text, of: image)
                }
            }
            guard let metadata, hasRoot else {
                throw ImageError(
                    .invalid,
                    "\(image) is not a unified image tarball: it has no \(hasRoot ? "metadata.yaml" : "rootfs directory")"
                )
            }
            return metadata
        }
    }

    private static func tooLarge(_ image: String, _ reason: String) -> ImageError {
        ImageError(.tooLarge, "\(image) is refused: \(reason), the most that is allowed here")
    }

    private static func unpackNow(
        _ path: String, into directory: String, limits: UnpackLimits, progress: (@Sendable (Double) -> Void)?
    ) throws -> UnpackReport {
        let image = "image \(path.split(separator: "/").last.map { String($0.prefix(12)) } ?? path)"
        return try TarReader.withUnicodeNames {
            let reader = try TarReader(path: path)
            let extractor = try SafeExtractor(into: directory, image: image, limits: limits)
            let size = Double(max(1, fileSize(path)))
            var count = 0
            while let entry = try reader.next() {
                try extractor.extract(entry, from: reader)
                count += 1
                if count % 256 == 0 { progress?(min(1, Double(reader.consumed) / size)) }
            }
            let report = try extractor.finish()
            guard Files.isDirectory(directory + "/rootfs"), Files.exists(directory + "/metadata.yaml") else {
                throw ImageError(
                    .invalid, "\(image) is not a unified image tarball: rootfs or metadata.yaml is missing")
            }
            progress?(1)
            return report
        }
    }

    private static func fileSize(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }
}
