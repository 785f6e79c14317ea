public import ApusAPI
public import NIOCore
import NIOHTTP1

/// An image file as the daemon sends it.
public struct ImageDownload: Sendable {
    /// The name that the daemon suggests; nil if it suggests none.
    public let filename: String?
    /// Its size; nil if the daemon does not say.
    public let size: Int64?
    /// What separates the parts, if the image is in two files; nil if it is in one.
    public let boundary: String?
}

extension Client {
    /// All images.
    public func images() async throws -> [Image] {
        try await get("/1.0/images", query: [("recursion", "1")])
    }

    /// One image, by fingerprint or an unambiguous beginning of it; a secret opens one that is not public.
    public func image(_ fingerprint: String, secret: String? = nil) async throws -> Image {
        try await get("/1.0/images/\(fingerprint.percentEncoded)", query: Self.query(secret))
    }

    private static func query(_ secret: String?) -> [(name: String, value: String)] {
        secret.map { [("secret", $0)] } ?? []
    }

    /// An image by alias or fingerprint.
    public func image(named name: String) async throws -> Image {
        do {
            let alias: ImageAlias = try await get("/1.0/images/aliases/\(name.percentEncoded)")
            return try await image(alias.target)
        } catch let error as ClientError where error.isNotFound {
            return try await image(name)
        }
    }

    /// Deletes an image.
    public func deleteImage(_ fingerprint: String) async throws -> ApusAPI.Operation {
        try await begin(.DELETE, "/1.0/images/\(fingerprint.percentEncoded)")
    }

    /// Has the daemon get an image from elsewhere.
    public func createImage(_ post: ImagesPost) async throws -> ApusAPI.Operation {
        try await begin(.POST, "/1.0/images", post)
    }

    /// Sends an image file; `next` gives its bytes, nil at the end.
    public func importImage(
        filename: String, properties: [String: String] = [:], isPublic: Bool = false,
        next: @escaping @Sendable () async throws -> ByteBuffer?
    ) async throws -> ApusAPI.Operation {
        var headers: HTTPHeaders = ["Content-Type": "application/octet-stream"]
        headers.add(name: ImageHeader.filename, value: filename)
        headers.add(name: ImageHeader.isPublic, value: String(isPublic))
        if !properties.isEmpty { headers.add(name: ImageHeader.properties, value: Self.encoded(properties)) }
        return try Self.metadata(
            of: try await perform(Request(.POST, "/1.0/images", headers: headers, body: .stream(next))))
    }

    /// Sends an image in two files: the metadata, and the root file system.
    public func importSplitImage(
        metadata: (name: String, next: @Sendable () async throws -> ByteBuffer?),
        rootfs: (name: String, next: @Sendable () async throws -> ByteBuffer?),
        properties: [String: String] = [:], isPublic: Bool = false
    ) async throws -> ApusAPI.Operation {
        let boundary = "apus-\(UInt64.random(in: .min ... .max))-\(UInt64.random(in: .min ... .max))"
        var headers: HTTPHeaders = ["Content-Type": "multipart/form-data; boundary=\(boundary)"]
        headers.add(name: ImageHeader.filename, value: metadata.name)
        headers.add(name: ImageHeader.isPublic, value: String(isPublic))
        if !properties.isEmpty { headers.add(name: ImageHeader.properties, value: Self.encoded(properties)) }
        let form = MultipartForm(
            boundary: boundary,
            parts: [("metadata", metadata.name, metadata.next), ("rootfs", rootfs.name, rootfs.next)])
        return try Self.metadata(
            of: try await perform(
                Request(.POST, "/1.0/images", headers: headers, body: .stream { try await form.next() })))
    }

    private static func encoded(_ properties: [String: String]) -> String {
        properties.sorted { $0.key < $1.key }
            .map { "\($0.key.percentEncoded)=\($0.value.percentEncoded)" }.joined(separator: "&")
    }

    /// Fetches an image file: its name and size first, then its bytes as they arrive. A secret opens an image that is
    /// not public.
    public func exportImage<Output: Sendable>(
        _ fingerprint: String, secret: String? = nil,
        consume: @escaping @Sendable (ImageDownload, ReplyBody) async throws -> Output
    ) async throws -> Output {
        let path = "/1.0/images/\(fingerprint.percentEncoded)/export"
        return try await stream(Request(.GET, path, query: Self.query(secret))) { head, body in
            let download = ImageDownload(
                filename: Self.filename(inDisposition: head.headers.first(name: "Content-Disposition")),
                size: head.headers.first(name: "Content-Length").flatMap { Int64($0) },
                boundary: MultipartParser.boundary(in: head.headers.first(name: "Content-Type") ?? ""))
            return try await consume(download, body)
        }
    }

    /// Has the daemon give a secret, with which anybody may fetch this image for a while: it is in the metadata of the
    /// operation as `secret`.
    public func createImageSecret(_ fingerprint: String) async throws -> ApusAPI.Operation {
        try await begin(.POST, "/1.0/images/\(fingerprint.percentEncoded)/secret")
    }

    /// All aliases of images.
    public func imageAliases() async throws -> [ImageAlias] {
        try await get("/1.0/images/aliases", query: [("recursion", "1")])
    }

    /// Gives an image a name.
    public func createImageAlias(_ alias: ImageAlias) async throws {
        try await send(.POST, "/1.0/images/aliases", alias)
    }

    /// Changes a name of an image.
    public func renameImageAlias(_ name: String, to newName: String) async throws {
        try await send(.POST, "/1.0/images/aliases/\(name.percentEncoded)", InstancePost(name: newName))
    }

    /// Has the daemon fetch the newest version of an image.
    public func refreshImage(_ fingerprint: String) async throws -> ApusAPI.Operation {
        try await begin(.POST, "/1.0/images/\(fingerprint.percentEncoded)/refresh")
    }

    /// The images that an image server offers, as the daemon sees them.
    public func remoteImages(of server: String, certificate: String) async throws -> [Image] {
        var request = Request(
            .GET, "/1.0/images", query: [("recursion", "1"), ("apus_server", server)])
        if !certificate.isEmpty {
            request.headers.add(name: ImageHeader.certificate, value: certificate.percentEncoded)
        }
        return try Self.metadata(of: try await perform(request))
    }

    /// Takes a name from its image.
    public func deleteImageAlias(_ name: String) async throws {
        try await send(.DELETE, "/1.0/images/aliases/\(name.percentEncoded)")
    }

    /// The file's name in a Content-Disposition header; only the last part, should it have folders.
    package static func filename(inDisposition header: String?) -> String? {
        for part in (header ?? "").split(separator: ";") {
            let pair = part.split(separator: "=", maxSplits: 1).map { $0.drop { $0 == " " } }
            guard pair.count == 2, pair[0].lowercased() == "filename" else { continue }
            let quoted = pair[1].drop { $0 == "\"" }
            let name = quoted.prefix { $0 != "\"" }.split(separator: "/").last.map(String.init) ?? ""
            return name.isEmpty || name == "." || name == ".." ? nil : name
        }
        return nil
    }
}
