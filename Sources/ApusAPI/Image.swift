/// An image in the store.
public struct Image: Codable, Sendable, Equatable {
    /// Whether it is kept up to date by itself.
    @Defaulted public var autoUpdate: Bool
    /// What it says of itself: os, release, description…
    @Defaulted public var properties: [String: String]
    /// Whether untrusted clients may have it.
    @Defaulted public var `public`: Bool
    /// When it expires; zero for never.
    @Defaulted public var expiresAt: Timestamp
    /// Profiles of containers made from it.
    @Defaulted public var profiles: [String]
    /// Its names.
    @Defaulted public var aliases: [ImageAliasName]
    /// The machine's architecture.
    @Defaulted public var architecture: String
    /// Whether it was fetched for a container rather than imported by hand.
    @Defaulted public var cached: Bool
    /// The name of its file.
    @Defaulted public var filename: String
    /// SHA-256 of its file.
    @Defaulted public var fingerprint: String
    /// Bytes of its file.
    @Defaulted public var size: Int64
    /// Always "container".
    @Defaulted public var type: String
    /// When it was made.
    @Defaulted public var createdAt: Timestamp
    /// When a container was last made from it.
    @Defaulted public var lastUsedAt: Timestamp
    /// When it came into this store.
    @Defaulted public var uploadedAt: Timestamp
    /// Where it came from, if from elsewhere.
    public var updateSource: ImageSource?

    enum CodingKeys: String, CodingKey {
        case properties, profiles, aliases, architecture, cached, filename, fingerprint, size, type
        case `public` = "public"
        case autoUpdate = "auto_update"
        case expiresAt = "expires_at"
        case createdAt = "created_at"
        case lastUsedAt = "last_used_at"
        case uploadedAt = "uploaded_at"
        case updateSource = "update_source"
    }

    /// An empty image.
    public init() { type = "container" }
}

/// A name of an image, as the image lists it.
public struct ImageAliasName: Codable, Sendable, Equatable {
    /// The name.
    @Defaulted public var name: String
    /// Free text.
    @Defaulted public var description: String

    /// A name.
    public init(name: String, description: String = "") {
        self.name = name
        self.description = description
    }
}

/// A name of an image, as `/1.0/images/aliases/<name>` shows it.
public struct ImageAlias: Codable, Sendable, Equatable {
    /// Free text.
    @Defaulted public var description: String
    /// The image's fingerprint.
    @Defaulted public var target: String
    /// The name.
    @Defaulted public var name: String
    /// Always "container".
    @Defaulted public var type: String

    /// A name.
    public init(name: String, target: String, description: String = "") {
        self.name = name
        self.target = target
        self.description = description
        type = "container"
    }
}

/// What `PUT /1.0/images/aliases/<name>` takes.
public struct ImageAliasPut: Codable, Sendable, Equatable {
    /// Free text.
    @Defaulted public var description: String
    /// The image's fingerprint.
    @Defaulted public var target: String

    /// Nothing set.
    public init() {}
}

/// What `PUT /1.0/images/<fingerprint>` takes.
public struct ImagePut: Codable, Sendable, Equatable {
    /// Whether it is kept up to date by itself.
    @Defaulted public var autoUpdate: Bool
    /// What it says of itself.
    @Defaulted public var properties: [String: String]
    /// Whether untrusted clients may have it.
    @Defaulted public var `public`: Bool

    enum CodingKeys: String, CodingKey {
        case properties
        case `public` = "public"
        case autoUpdate = "auto_update"
    }

    /// Nothing set.
    public init() {}
}

/// What `PATCH /1.0/images/<fingerprint>` takes: what is not given stays.
public struct ImagePatch: Codable, Sendable, Equatable {
    /// Properties to set; an empty value takes one away.
    public var properties: [String: String]?
    /// Whether untrusted clients may have it.
    public var `public`: Bool?
    /// Whether it is kept up to date by itself.
    public var autoUpdate: Bool?

    enum CodingKeys: String, CodingKey {
        case properties
        case `public` = "public"
        case autoUpdate = "auto_update"
    }

    /// Nothing to change.
    public init() {}
}

/// Where an image is to come from, or came from.
public struct ImageSource: Codable, Sendable, Equatable {
    /// "image"; to publish "container", "instance" or "snapshot".
    @Defaulted public var type: String
    /// The container, or "container/snapshot", to publish.
    @Defaulted public var name: String
    /// "pull".
    @Defaulted public var mode: String
    /// Who has it.
    @Defaulted public var server: String
    /// "simplestreams" for an image server, "lxd" for another daemon, "debian" to build it here.
    @Defaulted public var `protocol`: String
    /// Certificates in PEM that an image server is trusted by, beside those of the system; of a daemon the one that it has
    /// to show.
    @Defaulted public var certificate: String
    /// Its name there.
    @Defaulted public var alias: String
    /// Its fingerprint there.
    @Defaulted public var fingerprint: String
    /// With protocol "lxd": what opens an image there that is not public. Not kept.
    public var secret: String?

    enum CodingKeys: String, CodingKey {
        case type, name, mode, server, alias, fingerprint, certificate, secret
        case `protocol` = "protocol"
    }

    /// Nothing set.
    public init() {}
}

/// What `POST /1.0/images` takes as JSON (an uploaded tarball comes with headers instead).
public struct ImagesPost: Codable, Sendable, Equatable {
    /// Where it comes from.
    public var source: ImageSource?
    /// Names to give it.
    @Defaulted public var aliases: [ImageAliasName]
    /// Properties to set.
    @Defaulted public var properties: [String: String]
    /// Whether untrusted clients may have it.
    @Defaulted public var `public`: Bool
    /// Whether it is kept up to date by itself.
    @Defaulted public var autoUpdate: Bool
    /// How a published image is compressed; empty for what the daemon is set to.
    @Defaulted public var compressionAlgorithm: String
    /// Build it again even if it is in the store already.
    @Defaulted public var apusRefresh: Bool

    enum CodingKeys: String, CodingKey {
        case source, aliases, properties
        case `public` = "public"
        case autoUpdate = "auto_update"
        case compressionAlgorithm = "compression_algorithm"
        case apusRefresh = "apus_refresh"
    }

    /// Nothing set.
    public init() {}
}
