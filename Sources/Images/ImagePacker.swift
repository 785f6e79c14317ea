import Glibc
import LinuxSystem
import Storage
import Synchronization

/// Makes an image file of a container's volume.
public enum ImagePacker {
    /// Packs `rootfs` and `templates` of a directory to which nothing writes meanwhile. Its `metadata.yaml`, if it has
    /// one, gives what the request leaves open. On failure and when the task is cancelled nothing is left.
    /// - Parameters:
    ///   - path: the file to make; work files are made beside it.
    ///   - progress: gets the bytes of file data packed so far.
    public static func pack(
        _ volume: String, properties: [String: String], to path: String, compression: ImageCompression,
        progress: @escaping @Sendable (Int64) -> Void
    ) async throws -> ImageMetadata {
        let metadata = try metadata(of: volume, properties)
        do {
            if compression == .squashfs {
                try await packSquashfs(volume, metadata, to: path)
            } else {
                try await packTarball(volume, metadata, to: path, compression, progress)
            }
            try Task.checkCancellation()
        } catch {
            unlink(path)
            throw error
        }
        return metadata
    }

    /// What the image will say of itself.
    private static func metadata(of volume: String, _ properties: [String: String]) throws -> ImageMetadata {
        var metadata = ImageMetadata(
            architecture: ImageArchitecture.current, creationDate: 0, properties: properties)
        let root = try FileDescriptor.open(volume, O_RDONLY | O_DIRECTORY)
        if let file = try? root.open(at: "metadata.yaml", O_RDONLY, resolve: [.beneath, .noSymlinks]) {
            let text = try file.readAll(limit: ImageMetadata.largestFile)
            metadata = try ImageMetadata(yaml: text, of: "the container's image")
            metadata.properties = properties
            metadata.expiryDate = nil
        }
        metadata.creationDate = Int64(time(nil))
        return metadata
    }

    private static func packTarball(
        _ volume: String, _ metadata: ImageMetadata, to path: String, _ compression: ImageCompression,
        _ progress: @escaping @Sendable (Int64) -> Void
    ) async throws {
        let text = Array(try metadata.yaml().utf8)
        let state = CancellationFlag()
        try await withTaskCancellationHandler {
            try await Blocking.run {
                try TarReader.withUnicodeNames {
                    let writer = try TarWriter(path: path, compression: compression)
                    try writer.addFile("metadata.yaml", text)
                    let packer = TreePacker(writer) { bytes in
                        if state.isSet { throw CancellationError() }
                        progress(bytes)
                    }
                    for part in ["templates", "rootfs"] where Files.isDirectory("\(volume)/\(part)") {
                        try packer.add("\(volume)/\(part)", as: part)
                    }
                    try writer.finish()
                }
            }
        } onCancel: {
            state.set()
        }
    }

    private static func packSquashfs(_ volume: String, _ metadata: ImageMetadata, to path: String)
        async throws
    {
        let work = path + ".work"
        try Files.makeDirectories(work, mode: 0o700)
        defer { try? TreeRemover.remove(work) }
        try Files.write(work + "/metadata.yaml", Array(try metadata.yaml().utf8))
        let parts = ["rootfs", "templates"].map { "\(volume)/\($0)" }.filter { Files.isDirectory($0) }
        try await Squashfs.pack([work + "/metadata.yaml"] + parts, to: path)
    }
}

/// Tells a thread that its task was cancelled.
final class CancellationFlag: Sendable {
    private let flag = Mutex(false)

    var isSet: Bool { flag.withLock { $0 } }

    func set() { flag.withLock { $0 = true } }
}
