public import ApusAPI
import Images

/// An image file on its way from a client into the store.
public final class ImageUpload: Sendable {
    private let incoming: ImageImport

    fileprivate init(_ incoming: ImageImport) { self.incoming = incoming }

    /// Takes the next part.
    public func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try incoming.write($0) } }

    /// Ends the first file of a split image; what is written from here on is its root file system.
    public func beginRoot() throws { try incoming.beginRoot() }

    /// Gives the upload up.
    public func cancel() { incoming.cancel() }

    fileprivate func finish(expecting fingerprint: String?) async throws -> StoredImage {
        try await incoming.finish(expecting: fingerprint)
    }
}

extension ImageService {
    /// Begins to take an image file in.
    public nonisolated func beginUpload() throws -> ImageUpload { ImageUpload(try store.beginImport()) }

    /// Checks an image file that has been taken in, and keeps it.
    public func finishUpload(
        _ upload: ImageUpload, filename: String, properties: [String: String], isPublic: Bool,
        expecting: String?
    ) -> ApusAPI.Operation {
        context.operations.start("Importing image") { handle in
            handle.progress("Checking the image")
            let stored = try await upload.finish(expecting: expecting)
            let record = try await self.keep(stored, filename, properties, isPublic)
            return ["fingerprint": .string(record.fingerprint), "size": .int(record.size)]
        }
    }

    private func keep(
        _ stored: StoredImage, _ filename: String, _ properties: [String: String], _ isPublic: Bool
    ) throws -> ImageRecord {
        guard images[stored.fingerprint] == nil else {
            throw ServiceError.conflict("Image with same fingerprint already exists: \(stored.fingerprint)")
        }
        var record = ImageRecord(stored, filename: filename.isEmpty ? stored.fingerprint + ".tar" : filename)
        record.properties.merge(properties) { _, new in new }
        record.isPublic = isPublic
        try add(record)
        return record
    }
}
