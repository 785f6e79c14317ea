import CArchive
import Glibc
import LinuxSystem
import Storage

/// Image files in LXD's formats. Unified: one tarball or squashfs with `metadata.yaml`, `templates/` and `rootfs/`.
/// Split: a tarball with the first two, and the root file system in a tarball or squashfs of its own.
public enum ImageArchive {
    /// Reads an image to its end, and refuses it if it is damaged, hostile or too large. Returns its metadata.
    /// - Parameter root: the second file of a split image.
    public static func inspect(
        _ path: String, root: String? = nil, limits: UnpackLimits = UnpackLimits()
    ) async throws -> ImageMetadata {
        guard let root else {
            guard Squashfs.isSquashfs(path) else {
                return try await Blocking.run { try inspectUnified(path, limits: limits) }
            }
            _ = try await Squashfs.measure(path, limits: limits)
            let text = try await Squashfs.file("metadata.yaml", of: path)
            guard text.count <= ImageMetadata.largestFile else {
                throw ImageError(.invalid, "metadata.yaml in the image file is too large")
            }
            return try ImageMetadata(yaml: text, of: "the image file")
        }
        if Squashfs.isSquashfs(root) {
            _ = try await Squashfs.measure(root, limits: limits)
        } else {
            try await Blocking.run { try inspectRoot(root, limits: limits) }
        }
        return try await Blocking.run { try inspectHead(path, limits: limits) }
    }

    /// Unpacks an image into an empty directory, which root alone can enter. The caller removes the directory if this
    /// fails. `progress` gets the share of the file that has been read, between 0 and 1, now and then.
    /// - Parameter root: the second file of a split image.
    public static func unpack(
        _ path: String, root: String? = nil, into directory: String, limits: UnpackLimits = UnpackLimits(),
        progress: (@Sendable (Double) -> Void)? = nil
    ) async throws -> UnpackReport {
        let report: UnpackReport
        if let root {
            try await Blocking.run { try unpackHead(path, into: directory, limits: limits) }
            if Squashfs.isSquashfs(root) {
                _ = try await Squashfs.measure(root, limits: limits)
                report = try await Squashfs.unpack(root, into: directory + "/rootfs")
            } else {
                report = try await Blocking.run {
                    try Files.makeDirectories(directory + "/rootfs", mode: 0o755)
                    return try extract(root, into: directory, limits, prefix: "rootfs/", progress: progress)
                }
            }
        } else if Squashfs.isSquashfs(path) {
            _ = try await Squashfs.measure(path, limits: limits)
            report = try await unpackSquashfs(path, into: directory)
        } else {
            report = try await Blocking.run { try extract(path, into: directory, limits, progress: progress) }
        }
        try requireShape(directory, of: name(of: path))
        progress?(1)
        return report
    }

    /// Refuses what is not an image once it is unpacked: the parts are plain files and directories.
    private static func requireShape(_ directory: String, of image: String) throws {
        func kind(_ name: String) -> mode_t {
            var status = stat()
            return lstat("\(directory)/\(name)", &status) == 0 ? status.st_mode & S_IFMT : 0
        }
        guard kind("rootfs") == S_IFDIR, kind("metadata.yaml") == S_IFREG,
            [0, S_IFDIR].contains(kind("templates"))
        else {
            throw ImageError(
                .invalid,
                "\(image) is not a whole image: rootfs or metadata.yaml is missing, or not what it should be")
        }
    }

    private static func unpackSquashfs(_ path: String, into directory: String) async throws -> UnpackReport {
        let whole = directory + "/.unpacked"
        let report = try await Squashfs.unpack(path, into: whole)
        try await Blocking.run {
            try requireShape(whole, of: name(of: path))
            for part in ["rootfs", "metadata.yaml", "templates"] where Files.exists("\(whole)/\(part)") {
                try check("rename", "unpack \(part)") { rename("\(whole)/\(part)", "\(directory)/\(part)") }
            }
            try TreeRemover.remove(whole)
        }
        return report
    }

    private static func inspectUnified(_ path: String, limits: UnpackLimits) throws -> ImageMetadata {
        let found = try read(path, "the image file", limits: limits)
        guard let metadata = found.metadata, found.hasRoot else {
            throw ImageError(
                .invalid,
                "the image file is not a unified image: it has no \(found.hasRoot ? "metadata.yaml" : "rootfs directory")"
            )
        }
        return metadata
    }

    private static func inspectHead(_ path: String, limits: UnpackLimits) throws -> ImageMetadata {
        guard let metadata = try read(path, "the image's metadata", limits: limits).metadata else {
            throw ImageError(.invalid, "the first file of the image has no metadata.yaml in it")
        }
        return metadata
    }

    private static func inspectRoot(_ path: String, limits: UnpackLimits) throws {
        guard try read(path, "the image's root file system", limits: limits).entries > 0 else {
            throw ImageError(.invalid, "the root file system of the image is empty")
        }
    }

    /// Reads a tarball to its end, within the limits.
    private static func read(_ path: String, _ image: String, limits: UnpackLimits) throws -> (
        metadata: ImageMetadata?, hasRoot: Bool, entries: UInt64
    ) {
        try TarReader.withUnicodeNames {
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
            return (metadata, hasRoot, entries)
        }
    }

    private static func tooLarge(_ image: String, _ reason: String) -> ImageError {
        ImageError(.tooLarge, "\(image) is refused: \(reason), the most that is allowed here")
    }

    private static func unpackHead(_ path: String, into directory: String, limits: UnpackLimits) throws {
        _ = try extract(path, into: directory, limits, isWanted: { $0.components.first != "rootfs" })
    }

    private static func name(of path: String) -> String {
        "image \(path.split(separator: "/").last.map { String($0.prefix(12)) } ?? path)"
    }

    private static func extract(
        _ path: String, into directory: String, _ limits: UnpackLimits, prefix: String = "",
        progress: (@Sendable (Double) -> Void)? = nil, isWanted: @escaping (EntryPath) -> Bool = { _ in true }
    ) throws -> UnpackReport {
        try TarReader.withUnicodeNames {
            let reader = try TarReader(path: path)
            let extractor = try SafeExtractor(
                into: directory, image: name(of: path), limits: limits, prefix: prefix, isWanted: isWanted)
            let size = Double(max(1, fileSize(path)))
            var count = 0
            while let entry = try reader.next() {
                try extractor.extract(entry, from: reader)
                count += 1
                if count % 256 == 0 { progress?(min(1, Double(reader.consumed) / size)) }
            }
            return try extractor.finish()
        }
    }

    private static func fileSize(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }
}
