public import ApusAPI
import Images
import LinuxSystem
import Logging
import Storage

extension ImageService {
    /// The beginning of the aliases under which images built here are kept.
    static let builtPrefix = "debian/"

    /// Refuses a source that cannot lead to an image, before any work begins.
    func check(_ source: InstanceSource) throws {
        switch source.protocol {
        case "" where !source.server.isEmpty:
            try check(ImageSource(source))
        case "":
            guard !source.alias.isEmpty || !source.fingerprint.isEmpty else {
                throw ServiceError.badRequest("Say which image: by alias or fingerprint")
            }
            try checkArchitecture(try local(source))
        case "debian":
            _ = try recipe(source.alias)
        case "simplestreams", "lxd":
            try check(ImageSource(source))
        default:
            throw ServiceError.badRequest(
                "Images by protocol \"\(source.protocol)\" cannot be fetched; there are \"simplestreams\", \"lxd\" and \"debian\""
            )
        }
    }

    /// The image that a source means; it is built if need be.
    func obtain(_ source: InstanceSource, _ handle: OperationHandle) async throws -> ImageRecord {
        var record: ImageRecord
        if source.protocol == "debian" {
            record = try await build(source.alias, refresh: false, handle)
        } else if !source.server.isEmpty {
            record = try await fetch(ImageSource(source), handle)
        } else {
            record = try local(source)
        }
        try checkArchitecture(record)
        record.lastUsedAt = .now()
        try context.store.update(record)
        images[record.fingerprint] = record
        reschedule()
        return record
    }

    /// Refuses a source on a server that cannot lead to an image.
    func check(_ source: ImageSource) throws {
        guard !source.alias.isEmpty || !source.fingerprint.isEmpty else {
            throw ServiceError.badRequest("Say which image of \(source.server): by alias or fingerprint")
        }
        do {
            if source.protocol == "lxd" {
                _ = try DaemonImages(source)
            } else {
                _ = try server(source)
            }
        } catch {
            throw ServiceError.badRequest(ServiceError.text(of: error))
        }
    }

    /// The image of the store that a source names.
    private func local(_ source: InstanceSource) throws -> ImageRecord {
        guard !source.alias.isEmpty else { return try find(source.fingerprint) }
        guard let alias = aliases[source.alias] else {
            throw ServiceError.notFound("There is no image with the alias \"\(source.alias)\"")
        }
        return try find(alias.target)
    }

    /// Refuses an image that this machine cannot run.
    private func checkArchitecture(_ image: ImageRecord) throws {
        let machine = Machine.names.architecture
        let debianNames = ["amd64": "x86_64", "arm64": "aarch64"]
        let wanted = debianNames[image.architecture] ?? image.architecture
        guard wanted.isEmpty || wanted == machine else {
            throw ServiceError.badRequest(
                "Image \(image.fingerprint.prefix(12)) is for \(image.architecture); this machine runs \(machine)"
            )
        }
    }

    /// Unpacks an image into a pool, unless that was done before.
    func prepare(_ image: ImageRecord, in driver: any StorageDriver, _ handle: OperationHandle) async throws {
        let volume = Volume.image(fingerprint: image.fingerprint)
        guard !driver.exists(volume) else { return }
        let key = driver.poolPath + " " + image.fingerprint
        if let running = unpacking[key] { return try await running.value }
        let store = store
        let task = Task {
            handle.progress("Unpacking the image", percent: 0)
            try await driver.create(volume) { directory in
                _ = try await store.unpack(image.fingerprint, into: directory) { part in
                    handle.progress("Unpacking the image", percent: Int(part * 100))
                }
            }
        }
        unpacking[key] = task
        defer { unpacking[key] = nil }
        try await task.value
    }

    /// Brings an image into the store, as POST /1.0/images with a JSON body asks.
    public func create(_ post: ImagesPost) throws -> ApusAPI.Operation {
        guard let source = post.source.map(ImageSource.withProtocol), source.type == "image",
            ["debian", "simplestreams", "lxd"].contains(source.protocol)
        else {
            throw ServiceError.badRequest(
                "Upload an image file, publish a container, or give a source of type image and protocol "
                    + "\"simplestreams\", \"lxd\" or \"debian\"")
        }
        if source.protocol == "debian" { _ = try recipe(source.alias) } else { try check(source) }
        if post.autoUpdate, !canBeNewer(source) {
            throw ServiceError.badRequest(
                "The image cannot be kept up to date: that works for public images which are asked for by alias. "
                    + "Publish it on \(source.server) with public set, or do without auto-update")
        }
        for alias in post.aliases { try Names.checkAlias(alias.name) }
        return context.operations.start("Downloading image", mayCancel: true) { handle in
            let record =
                source.protocol == "debian"
                ? try await self.build(source.alias, refresh: post.apusRefresh, handle)
                : try await self.fetch(source, handle)
            try await self.finishCreate(record, post)
            return ["fingerprint": .string(record.fingerprint), "size": .int(record.size)]
        }
    }

    func finishCreate(_ record: ImageRecord, _ post: ImagesPost) throws {
        var record = record
        record.cached = false
        record.isPublic = post.public
        record.autoUpdate = post.autoUpdate
        record.properties.merge(post.properties) { _, new in new }
        try context.store.update(record)
        images[record.fingerprint] = record
        for alias in post.aliases {
            try setAlias(
                ImageAlias(name: alias.name, target: record.fingerprint, description: alias.description))
        }
        reschedule()
    }

    /// Builds an image of a recipe again.
    func rebuild(_ alias: String, _ handle: OperationHandle?) async throws -> ImageRecord {
        try await build(alias, refresh: true, handle)
    }

    private nonisolated func recipe(_ alias: String) throws -> ImageRecipe {
        do {
            return try ImageRecipe(alias: alias)
        } catch {
            throw ServiceError.badRequest(ServiceError.text(of: error))
        }
    }

    /// The image of a recipe: from the store, from a build that is under way, or from a new one.
    private func build(_ alias: String, refresh: Bool, _ handle: OperationHandle?) async throws -> ImageRecord
    {
        let recipe = try recipe(alias)
        if !refresh, let known = aliases[Self.alias(of: recipe)], let record = images[known.target] {
            return record
        }
        if let running = builds[recipe.name] {
            handle?.progress("Waiting for the image to be built")
            return try await running.value
        }
        let task = Task { try await self.buildNow(recipe, handle) }
        builds[recipe.name] = task
        defer { builds[recipe.name] = nil }
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }

    private static func alias(of recipe: ImageRecipe) -> String {
        recipe.name.hasPrefix(builtPrefix) ? recipe.name : builtPrefix + recipe.name
    }

    private func buildNow(_ recipe: ImageRecipe, _ handle: OperationHandle?) async throws -> ImageRecord {
        let work = context.directory.work + "/build-" + RandomID.uuid()
        try Files.makeDirectories(work, mode: 0o711)
        defer {
            do {
                try removeTree(work)
            } catch {
                context.logger.warning("cannot remove a build directory", metadata: ["error": "\(error)"])
            }
        }
        handle?.progress("Building the image", percent: 0)
        let tarball = try await recipe.build(in: work) { progress in
            handle?.progress(progress.phase, percent: progress.percent)
        }
        handle?.progress("Adding the image to the store")
        let stored = try await store.importFile(tarball, moving: true)
        var record = ImageRecord(stored, filename: recipe.name.replacing("/", with: "-") + ".tar")
        record.properties.merge(recipe.properties) { own, _ in own }
        record.cached = true
        record.source = ImageSource()
        record.source?.type = "image"
        record.source?.mode = "pull"
        record.source?.protocol = "debian"
        record.source?.server = "debian"
        record.source?.alias = recipe.name
        try add(record)
        try setAlias(
            ImageAlias(
                name: Self.alias(of: recipe), target: record.fingerprint, description: "built on this machine"
            ))
        return record
    }
}

extension ImageSource {
    /// The part of a container's source that is about its image.
    init(_ source: InstanceSource) {
        self.init()
        type = "image"
        mode = "pull"
        server = source.server
        self.protocol = source.protocol
        alias = source.alias
        fingerprint = source.fingerprint
        certificate = source.certificate
        secret = source.secret
        self = Self.withProtocol(self)
    }

    /// A server without a protocol is a daemon, as with LXD.
    static func withProtocol(_ source: ImageSource) -> ImageSource {
        var source = source
        if source.protocol.isEmpty, !source.server.isEmpty { source.protocol = "lxd" }
        return source
    }
}

extension ImageRecord {
    /// What the store found in a file.
    init(_ stored: StoredImage, filename: String) {
        self.init()
        fingerprint = stored.fingerprint
        size = Int64(stored.size)
        self.filename = filename
        architecture = stored.metadata.architecture
        properties = stored.metadata.properties
        createdAt = Timestamp(seconds: stored.metadata.creationDate)
        uploadedAt = .now()
    }
}
