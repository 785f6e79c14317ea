import Glibc
import LinuxSystem
import Storage

/// Writes backups of containers.
public enum BackupPacker {
    /// Packs volumes and running states to which nothing writes meanwhile. On failure and when the task is cancelled
    /// nothing is left.
    /// - Parameters:
    ///   - parts: their directories, in the order they are to have.
    ///   - path: the file to make.
    ///   - progress: gets the bytes of file data packed so far.
    public static func pack(
        _ index: BackupIndex, _ parts: [(part: BackupPart, directory: String)], to path: String,
        compression: ImageCompression, progress: @escaping @Sendable (Int64) -> Void
    ) async throws {
        do {
            let yaml = (index: Array(try index.yaml().utf8), config: Array(try index.configYAML().utf8))
            try await BackupArchive.withCancellation { flag in
                try TarReader.withUnicodeNames {
                    let writer = try TarWriter(path: path, compression: compression)
                    writer.sum = TarSum()
                    try writer.addFile("backup/index.yaml", yaml.index)
                    var packed: Int64 = 0
                    for (part, directory) in parts {
                        let before = packed
                        let packer = TreePacker(writer) { bytes in
                            if flag.isSet { throw CancellationError() }
                            progress(before + bytes)
                        }
                        guard part.isVolume else {
                            try packer.add(directory, as: part.folder)
                            packed += packer.bytes
                            continue
                        }
                        try writer.addDirectory(part.folder + "/", mode: 0o711)
                        if part == .container {
                            try writer.addFile(part.folder + "/backup.yaml", yaml.config, mode: 0o400)
                        }
                        try add(metadataOf: directory, as: part.folder, writer)
                        for name in ["templates", "rootfs"] where Files.isDirectory("\(directory)/\(name)") {
                            try packer.add("\(directory)/\(name)", as: "\(part.folder)/\(name)")
                        }
                        packed += packer.bytes
                    }
                    try writer.addSum()
                    try writer.finish()
                }
            }
            try Task.checkCancellation()
        } catch {
            unlink(path)
            throw error
        }
    }

    private static func add(metadataOf volume: String, as folder: String, _ writer: TarWriter) throws {
        let root = try FileDescriptor.open(volume, O_RDONLY | O_DIRECTORY)
        guard let file = try? root.open(at: "metadata.yaml", O_RDONLY, resolve: [.beneath, .noSymlinks])
        else { return }
        try writer.addFile(
            folder + "/metadata.yaml", try file.readAll(limit: ImageMetadata.largestFile), mode: 0o644)
    }
}
