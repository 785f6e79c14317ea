public import ApusAPI

/// Images for those who are not trusted: public ones, and one for whoever has its secret.
extension ImageService {
    /// How long a secret of an image is good.
    private static let lifetime = Duration.seconds(3600)

    /// The public images, newest first.
    public func publicImages() -> [Image] { list().filter(\.public) }

    /// Makes a secret with which an image can be fetched once, by anyone who has it: an operation of class "token".
    public func makeSecret(_ fingerprint: String) throws -> ApusAPI.Operation {
        let found = try get(fingerprint).fingerprint
        return tokens.issue(
            .image(fingerprint: found), "Waiting for an image to be fetched", resources: ["images": [found]],
            lifetime: Self.lifetime)
    }

    /// An image for a stranger.
    /// - Throws: not found if there is no such image, or it is not public and the secret is not its own.
    public func get(_ fingerprint: String, secret: String) throws -> Image {
        let unknown = ServiceError.notFound("Image not found")
        // Strangers have to know the whole fingerprint: no guessing at what is there by its first digit.
        guard fingerprint.utf8.count == 64, let image = try? get(fingerprint) else { throw unknown }
        guard image.public || tokens.opens(secret, .image(fingerprint: image.fingerprint)) else {
            throw unknown
        }
        return image
    }

    /// An image's files for a stranger. A secret is used up.
    public func files(_ fingerprint: String, secret: String) throws -> [(path: String, name: String)] {
        let image = try get(fingerprint, secret: secret)
        if !image.public, tokens.use(secret) == nil { throw ServiceError.notFound("Image not found") }
        return try files(image.fingerprint)
    }

    /// An alias for a stranger: of a public image only.
    public func publicAlias(_ name: String) throws -> ImageAlias {
        let alias = try alias(name)
        guard try get(alias.target).public else { throw ServiceError.notFound("Image alias not found") }
        return alias
    }
}
