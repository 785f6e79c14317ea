public import ApusAPI
import Glibc
import Images
import LinuxSystem
import Logging
import Storage

/// Images: what is in the store, their aliases, and how to get more.
public actor ImageService {
    let context: ServiceContext
    let pools: PoolService
    let store: ImageStore
    let tokens: TokenService
    var images: [String: ImageRecord] = [:]
    var aliases: [String: ImageAlias] = [:]
    /// Builds under way, so that two who want the same image get it from one build.
    var builds: [String: Task<ImageRecord, any Error>] = [:]
    /// Sleeps until the next image expires or is looked after.
    var upkeep: Task<Void, any Error>?
    /// Whether that is at work now.
    var isAtUpkeep = false
    /// When newer versions were last looked for, in seconds since 1970. Kept in the database, too.
    var lastUpdate: Int64
    static let lastUpdateKey = "images_looked_for_newer_at"
    /// Images being unpacked into a pool.
    var unpacking: [String: Task<Void, any Error>] = [:]

    init(context: ServiceContext, pools: PoolService, tokens: TokenService) throws {
        self.tokens = tokens
        self.context = context
        self.pools = pools
        let known = try context.store.serverValue(Self.lastUpdateKey).flatMap { Int64($0) }
        lastUpdate = known ?? Timestamp.now().seconds
        if known == nil { try context.store.setServerValue(Self.lastUpdateKey, String(lastUpdate)) }
        store = ImageStore(directory: context.directory.images)
        try store.open()
        for record in try context.store.images() {
            // A file that is gone cannot be told from one that never was.
            guard store.exists(record.fingerprint) else {
                context.logger.warning(
                    "an image's file is gone; the image is forgotten",
                    metadata: ["image": "\(record.fingerprint)"])
                try context.store.deleteImage(record.fingerprint)
                continue
            }
            images[record.fingerprint] = record
        }
        for alias in try context.store.aliases() { aliases[alias.name] = alias }
        for fingerprint in try store.fingerprints() where images[fingerprint] == nil {
            unlink(store.path(of: fingerprint))
            unlink(store.rootPath(of: fingerprint))
        }
    }

    // MARK: Reading

    /// All images, newest first.
    public func list() -> [Image] {
        images.values.sorted { $0.uploadedAt > $1.uploadedAt }.map(image)
    }

    /// An image, by fingerprint or an unambiguous beginning of it.
    public func get(_ fingerprint: String) throws -> Image { image(try find(fingerprint)) }

    /// The tag of an image's editable part.
    public func etag(_ fingerprint: String) throws -> String { try ETag.of(editable(try find(fingerprint))) }

    /// An image's files, one or two, and the names to offer them under.
    public func files(_ fingerprint: String) throws -> [(path: String, name: String)] {
        let record = try find(fingerprint)
        let path = store.path(of: record.fingerprint)
        guard store.isSplit(record.fingerprint) else { return [(path, record.filename)] }
        let root = store.rootPath(of: record.fingerprint)
        return [
            (path, "meta-\(record.fingerprint)\(ImageCompression.of(path).suffix)"),
            (root, record.fingerprint + ImageCompression.of(root).suffix),
        ]
    }

    func find(_ fingerprint: String) throws -> ImageRecord {
        let wanted = fingerprint.lowercased()
        if let exact = images[wanted] { return exact }
        let matches = wanted.utf8.count >= 4 ? images.values.filter { $0.fingerprint.hasPrefix(wanted) } : []
        guard matches.count < 2 else {
            throw ServiceError.badRequest(
                "The beginning \"\(fingerprint)\" fits \(matches.count) images; give more of it")
        }
        guard let match = matches.first else { throw ServiceError.notFound("Image not found") }
        return match
    }

    private func image(_ record: ImageRecord) -> Image {
        var image = Image()
        image.fingerprint = record.fingerprint
        image.size = record.size
        image.filename = record.filename
        image.architecture = record.architecture
        image.public = record.isPublic
        image.autoUpdate = record.autoUpdate
        image.cached = record.cached
        image.expiresAt = expiry(record).map { Timestamp(seconds: $0) } ?? .zero
        image.createdAt = record.createdAt
        image.uploadedAt = record.uploadedAt
        image.lastUsedAt = record.lastUsedAt
        image.properties = record.properties
        image.profiles = ["default"]
        image.updateSource = record.source
        image.aliases = aliases.values.filter { $0.target == record.fingerprint }.sorted { $0.name < $1.name }
            .map { ImageAliasName(name: $0.name, description: $0.description) }
        return image
    }

    private func editable(_ record: ImageRecord) -> ImagePut {
        var put = ImagePut()
        put.properties = record.properties
        put.public = record.isPublic
        put.autoUpdate = record.autoUpdate
        return put
    }

    // MARK: Changing

    /// Changes what can be edited of an image.
    public func update(_ fingerprint: String, _ put: ImagePut, ifMatch: String?) throws {
        var record = try find(fingerprint)
        try ETag.check(ifMatch, against: try ETag.of(editable(record)))
        record.properties = put.properties
        record.isPublic = put.public
        record.autoUpdate = put.autoUpdate
        try context.store.update(record)
        images[record.fingerprint] = record
        reschedule()
        tell("image-updated", record.fingerprint)
    }

    /// Changes some of what can be edited of an image; an empty value takes a property away.
    public func patch(_ fingerprint: String, _ patch: ImagePatch, ifMatch: String?) throws {
        var put = editable(try find(fingerprint))
        try ETag.check(ifMatch, against: try ETag.of(put))
        put.properties = put.properties.merging(patch.properties ?? [:]) { $1 }.filter { !$0.value.isEmpty }
        put.public = patch.public ?? put.public
        put.autoUpdate = patch.autoUpdate ?? put.autoUpdate
        try update(fingerprint, put, ifMatch: nil)
    }

    /// Deletes an image; containers made from it keep their files.
    public func delete(_ fingerprint: String) throws -> ApusAPI.Operation {
        let record = try find(fingerprint)
        return context.operations.start("Deleting image", resources: ["images": [record.fingerprint]]) { _ in
            try await self.deleteNow(record.fingerprint)
            return nil
        }
    }

    func deleteNow(_ fingerprint: String) async throws {
        guard images[fingerprint] != nil else { throw ServiceError.notFound("Image not found") }
        try context.store.deleteImage(fingerprint)
        images[fingerprint] = nil
        aliases = aliases.filter { $0.value.target != fingerprint }
        try await store.delete(fingerprint)
        for driver in pools.drivers.values where driver.exists(.image(fingerprint: fingerprint)) {
            try await driver.delete(.image(fingerprint: fingerprint))
        }
        tell("image-deleted", fingerprint)
    }

    /// The fingerprints of the images that are unpacked in a pool, where containers are copied from them.
    public func unpacked(in pool: String) throws -> [String] {
        let driver = try pools.location(pool)
        return images.keys.filter { driver.exists(.image(fingerprint: $0)) }.sorted()
    }

    /// Removes an image's unpacked copy from a pool. The image stays in the store; the next container in the pool that
    /// is made from it unpacks it again.
    public func deleteUnpacked(_ fingerprint: String, from pool: String) async throws {
        let driver = try pools.driver(pool)
        guard driver.exists(.image(fingerprint: fingerprint)) else {
            throw ServiceError.notFound("Storage volume not found")
        }
        guard unpacking[driver.poolPath + " " + fingerprint] == nil else {
            throw ServiceError.conflict("The image is being unpacked into storage pool \"\(pool)\" just now")
        }
        try await ServiceError.ofStorage { try await driver.delete(.image(fingerprint: fingerprint)) }
        context.events.lifecycle(
            "storage-volume-deleted", "/1.0/storage-pools/\(pool)/volumes/image/\(fingerprint)")
    }

    func add(_ record: ImageRecord) throws {
        if images[record.fingerprint] == nil {
            try context.store.insert(record)
        } else {
            try context.store.update(record)
        }
        images[record.fingerprint] = record
        tell("image-created", record.fingerprint)
    }

    func tell(_ action: String, _ fingerprint: String) {
        context.events.lifecycle(action, "/1.0/images/\(fingerprint)")
    }

    // MARK: Aliases

    /// All aliases, by name.
    public func listAliases() -> [ImageAlias] { aliases.values.sorted { $0.name < $1.name } }

    /// An alias.
    public func alias(_ name: String) throws -> ImageAlias {
        guard let alias = aliases[name] else { throw ServiceError.notFound("Image alias not found") }
        return alias
    }

    /// Makes an alias.
    public func createAlias(_ alias: ImageAlias) throws {
        try Names.checkAlias(alias.name)
        guard aliases[alias.name] == nil else {
            throw ServiceError.conflict("The alias \"\(alias.name)\" already exists")
        }
        try setAlias(alias)
    }

    /// The tag of an alias.
    public func aliasTag(_ name: String) throws -> String { try ETag.of(try alias(name)) }

    /// Points an alias at another image, or describes it anew.
    public func updateAlias(_ name: String, _ put: ImageAliasPut, ifMatch: String?) throws {
        let old = try alias(name)
        try ETag.check(ifMatch, against: try aliasTag(name))
        try setAlias(
            ImageAlias(
                name: name, target: put.target.isEmpty ? old.target : put.target, description: put.description
            ))
    }

    /// Renames an alias.
    public func renameAlias(_ name: String, to newName: String) throws {
        try Names.checkAlias(newName)
        var alias = try alias(name)
        guard aliases[newName] == nil else {
            throw ServiceError.conflict("The alias \"\(newName)\" already exists")
        }
        try context.store.renameAlias(name, to: newName)
        aliases[name] = nil
        alias.name = newName
        aliases[newName] = alias
    }

    /// Removes an alias; the image stays.
    public func deleteAlias(_ name: String) throws {
        _ = try alias(name)
        try context.store.deleteAlias(name)
        aliases[name] = nil
    }

    func setAlias(_ alias: ImageAlias) throws {
        var resolved = alias
        resolved.target = try find(alias.target).fingerprint
        try context.store.setAlias(resolved)
        aliases[alias.name] = resolved
    }
}
