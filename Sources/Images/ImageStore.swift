import Glibc
import LinuxSystem
import Storage

/// An image file that is in the store.
public struct StoredImage: Sendable, Hashable {
    /// SHA-256 of the file, in hex.
    public let fingerprint: String
    /// Its size in bytes.
    public let size: UInt64
    /// Where it lies.
    public let path: String
    /// What it says of itself.
    public let metadata: ImageMetadata
    /// Whether the store had it before.
    public let wasThere: Bool
}

/// The image files of a daemon, each named by the SHA-256 of its content.
///
/// A file gets its name when it is whole and has been read to its end; until then it lies below `incoming/`.
public struct ImageStore: Sendable {
    /// The store's directory.
    public let directory: String
    /// What an image may take when it is unpacked.
    public let limits: UnpackLimits

    /// The store in a directory; call `open` first.
    public init(directory: String, limits: UnpackLimits = UnpackLimits()) {
        self.directory = directory
        self.limits = limits
    }

    /// Makes the directory if it is missing, and removes what imports cut short by a crash have left.
    /// Call it while no import is going on.
    public func open() throws {
        try Files.makeDirectories(directory, mode: 0o700)
        try TreeRemover.remove(incoming)
        try Files.makeDirectories(incoming, mode: 0o700)
    }

    /// The file of an image, whether it is there or not.
    public func path(of fingerprint: String) -> String { "\(directory)/\(fingerprint)" }

    /// What the name of a split image's second file ends in.
    static let rootSuffix = ".rootfs"

    /// The second file of a split image, whether it is there or not.
    public func rootPath(of fingerprint: String) -> String { path(of: fingerprint) + Self.rootSuffix }

    /// Whether an image is in two files.
    public func isSplit(_ fingerprint: String) -> Bool { Files.exists(rootPath(of: fingerprint)) }

    /// The second file of an image, if it has one.
    private func root(of fingerprint: String) -> String? {
        isSplit(fingerprint) ? rootPath(of: fingerprint) : nil
    }

    /// Whether the store has an image.
    public func exists(_ fingerprint: String) -> Bool {
        Self.isFingerprint(fingerprint) && Files.exists(path(of: fingerprint))
    }

    /// The fingerprints of all images.
    public func fingerprints() throws -> [String] {
        try Files.names(in: directory).filter(Self.isFingerprint).sorted()
    }

    /// Starts to take in a file piece by piece.
    public func beginImport() throws -> ImageImport { try ImageImport(store: self, directory: incoming) }

    /// Takes in a file. With `moving` it is given to the store, which is free on the same file system.
    public func importFile(
        _ path: String, expecting fingerprint: String? = nil, moving: Bool = false
    ) async throws -> StoredImage {
        if moving, let moved = try ImageImport(store: self, directory: incoming, taking: path) {
            return try await moved.finish(expecting: fingerprint)
        }
        let incoming = try beginImport()
        do {
            try await Blocking.run {
                let file = try FileDescriptor.open(path, O_RDONLY)
                let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
                defer { buffer.deallocate() }
                while true {
                    let count = read(file.rawValue, buffer.baseAddress, buffer.count)
                    if count < 0 && errno == EINTR { continue }
                    if count < 0 { throw SystemError("read", "read \(path)") }
                    if count == 0 { break }
                    try incoming.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                }
            }
        } catch {
            incoming.cancel()
            throw error
        }
        let image = try await incoming.finish(expecting: fingerprint)
        if moving { unlink(path) }
        return image
    }

    /// What an image says of itself. Reads the file up to its `metadata.yaml`, or to the end.
    public func metadata(of fingerprint: String) async throws -> ImageMetadata {
        try requireImage(fingerprint)
        return try await ImageArchive.inspect(
            path(of: fingerprint), root: root(of: fingerprint), limits: limits)
    }

    /// Copies an image's file out of the store. The file must not exist yet.
    public func export(_ fingerprint: String, to path: String) async throws {
        try requireImage(fingerprint)
        try await Blocking.run {
            do {
                try FileCopy.copy(self.path(of: fingerprint), to: path)
            } catch {
                throw ImageError(
                    .system, "cannot export image \(fingerprint.prefix(12)) to \(path): \(error)")
            }
        }
    }

    /// Takes over a file that was made here and need not be read again to be believed.
    public func adopt(_ path: String, metadata: ImageMetadata) async throws -> StoredImage {
        let (fingerprint, size) = try await Blocking.run { try Fingerprint.ofFile(path) }
        let (wasThere, place) = (exists(fingerprint), self.path(of: fingerprint))
        if wasThere {
            unlink(path)
        } else {
            chmod(path, 0o600)
            if rename(path, place) != 0 {
                throw ImageError(.system, "cannot keep the image: \(SystemError.reason(errno))")
            }
        }
        return StoredImage(
            fingerprint: fingerprint, size: size, path: place, metadata: metadata, wasThere: wasThere)
    }

    /// Removes an image's file.
    public func delete(_ fingerprint: String) async throws {
        try requireImage(fingerprint)
        if unlink(path(of: fingerprint)) != 0 {
            throw ImageError(
                .system, "cannot delete image \(fingerprint.prefix(12)): \(SystemError.reason(errno))")
        }
        unlink(rootPath(of: fingerprint))
    }

    /// Unpacks an image into an empty directory: `rootfs`, `metadata.yaml` and `templates` are made in it.
    public func unpack(
        _ fingerprint: String, into directory: String, progress: (@Sendable (Double) -> Void)? = nil
    ) async throws -> UnpackReport {
        try requireImage(fingerprint)
        return try await ImageArchive.unpack(
            path(of: fingerprint), root: root(of: fingerprint), into: directory, limits: limits,
            progress: progress)
    }

    /// Whether a text is a whole fingerprint.
    public static func isFingerprint(_ text: String) -> Bool {
        text.utf8.count == 64
            && text.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }

    private var incoming: String { "\(directory)/incoming" }

    private func requireImage(_ fingerprint: String) throws {
        if !exists(fingerprint) {
            throw ImageError(.notFound, "image \(fingerprint.prefix(12)) is not in the store")
        }
    }
}
