import ApusAPI
import ApusClient
import Certificates
import Images
import NIOCore

/// The images of another daemon, Apus' or LXD's, as this one fetches them: known by its certificate, and let in by a
/// secret for one image (or to those that are public).
struct DaemonImages: Sendable {
    private let client: Client
    private let source: ImageSource

    /// - Throws: `ClientError` or `CertificateError` for a source that cannot lead to a daemon.
    init(_ source: ImageSource) throws {
        let pinned = source.certificate.isEmpty ? nil : try TLSCertificate(text: source.certificate)
        client = Client(.https(try SecureAddress(url: source.server, pinned: pinned)))
        self.source = source
    }

    /// What the daemon says of the image that is wanted.
    func find() async throws -> Image {
        do {
            guard source.fingerprint.isEmpty else {
                return try await client.image(source.fingerprint, secret: source.secret)
            }
            return try await client.image(named: source.alias)
        } catch let error as ClientError where error.isNotFound || error.isForbidden {
            throw ServiceError.notFound(
                "\(source.server) does not give the image \"\(wanted)\": it is not there, or not public and the secret "
                    + "for it is wrong, used up or revoked. Begin again to get a new one")
        }
    }

    /// Fetches an image into a store. What arrives has to sum up to its fingerprint; on failure nothing is left.
    func fetch(
        _ image: Image, into store: ImageStore, progress: @escaping @Sendable (Int64) -> Void
    ) async throws -> StoredImage {
        let incoming = try store.beginImport()
        do {
            try await client.exportImage(image.fingerprint, secret: source.secret) { download, body in
                if let boundary = download.boundary {
                    try await Self.takeParts(of: body, boundary, incoming, progress)
                } else {
                    try await Self.take(body, incoming, progress)
                }
            }
            return try await incoming.finish(expecting: image.fingerprint)
        } catch {
            incoming.cancel()
            if let error = error as? ClientError {
                throw ServiceError.failure(
                    "cannot fetch the image \(image.fingerprint.prefix(12)) of \(source.server): \(error.message). "
                        + "Nothing of it was kept; try again")
            }
            throw error
        }
    }

    private var wanted: String {
        source.fingerprint.isEmpty ? source.alias : String(source.fingerprint.prefix(12))
    }

    private static func take(
        _ body: ReplyBody, _ incoming: ImageImport, _ progress: @Sendable (Int64) -> Void
    ) async throws {
        var done: Int64 = 0
        while let bytes = try await body.next() {
            try bytes.withUnsafeReadableBytes { try incoming.write($0) }
            done += Int64(bytes.readableBytes)
            progress(done)
        }
    }

    /// Takes an image in two files: the metadata, then the root file system.
    private static func takeParts(
        of body: ReplyBody, _ boundary: String, _ incoming: ImageImport, _ progress: @Sendable (Int64) -> Void
    ) async throws {
        var parser = MultipartParser(boundary: boundary)
        var done: Int64 = 0
        while let bytes = try await body.next() {
            for event in try parser.take(Array(bytes.readableBytesView)) {
                switch event {
                case .part(let name, _): if name != "metadata" { try incoming.beginRoot() }
                case .bytes(let bytes): try bytes.withUnsafeBytes { try incoming.write($0) }
                }
            }
            done += Int64(bytes.readableBytes)
            progress(done)
        }
    }
}

extension ImageService {
    /// Fetches an image from the daemon that has it.
    func fetchFromDaemon(
        _ source: ImageSource, _ handle: OperationHandle?
    ) async throws -> ImageRecord {
        let daemon = try DaemonImages(source)
        handle?.progress("Looking for the image")
        let offered = try await daemon.find()
        if let known = images[offered.fingerprint] { return known }
        var progress = OperationProgress(stage: "Downloading the image", percent: 0)
        progress.bytesTotal = offered.size
        let initial = progress
        let stored = try await daemon.fetch(offered, into: store) { done in
            var now = initial
            now.bytesDone = done
            now.percent = Int(done * 100 / max(1, offered.size))
            handle?.progress(now)
        }
        var record = ImageRecord(stored, filename: offered.filename)
        record.size = offered.size
        record.properties.merge(offered.properties) { _, new in new }
        record.source = source
        record.source?.type = "image"
        record.source?.mode = "pull"
        record.source?.secret = nil
        record.cached = true
        try add(record)
        reschedule()
        return record
    }
}
