public import ApusAPI
import Images
import LinuxSystem
import Storage

extension ContainerService {
    /// Makes an image of a stopped container, or of a snapshot.
    public func publish(_ post: ImagesPost) throws -> ApusAPI.Operation {
        guard let source = post.source else { throw ServiceError.badRequest("Say what to publish") }
        let parts = source.name.split(separator: "/", maxSplits: 1).map(String.init)
        guard let name = parts.first, (source.type == "snapshot") == (parts.count == 2) else {
            throw ServiceError.badRequest(
                source.type == "snapshot"
                    ? "A snapshot to publish is named container/snapshot" : "Say which container to publish")
        }
        let entry = try entry(name)
        var (config, volume) = (expanded(entry.record).config, Volume.container(name))
        if parts.count == 2 {
            config = try record(name, parts[1]).expandedConfig
            volume = .snapshot(container: name, name: parts[1])
        } else if entry.live != nil {
            throw ServiceError.badRequest(
                "\"\(name)\" is running: stop it before publishing it, or take a snapshot and publish that")
        }
        for alias in post.aliases { try Names.checkAlias(alias.name) }
        let algorithm =
            post.compressionAlgorithm.isEmpty
            ? context.config["images.compression_algorithm"] : post.compressionAlgorithm
        guard let compression = ImageCompression(rawValue: algorithm) else {
            let known = ImageCompression.allCases.map(\.rawValue).joined(separator: ", ")
            throw ServiceError.badRequest("Unknown compression \"\(algorithm)\"; there are \(known)")
        }
        let directory = try pools.driver(entry.record.pool).directory(of: volume)
        var properties: [String: String] = [:]
        for (key, value) in config where key.hasPrefix("image.") {
            properties[String(key.dropFirst(6))] = value
        }
        properties.merge(post.properties) { $1 }
        let lock = try context.locks.acquireToRead(name, "being published")
        return context.operations.start(
            "Publishing image", resources: ["instances": [name]], mayCancel: true
        ) { [images, properties] handle in
            defer { lock.release() }
            let record = try await images.pack(
                directory, properties: properties, compression, named: name, handle)
            try await images.finishCreate(record, post)
            return ["fingerprint": .string(record.fingerprint), "size": .int(record.size)]
        }
    }
}

extension ImageService {
    /// Packs a volume into the store.
    func pack(
        _ volume: String, properties: [String: String], _ compression: ImageCompression, named name: String,
        _ handle: OperationHandle
    ) async throws -> ImageRecord {
        let path = context.directory.work + "/publish-" + RandomID.uuid()
        handle.progress("Packing files")
        let metadata = try await ImagePacker.pack(
            volume, properties: properties, to: path, compression: compression
        ) { bytes in
            var progress = OperationProgress(stage: "Packing files")
            progress.bytesDone = bytes
            handle.progress(progress)
        }
        handle.progress("Adding the image to the store")
        let stored = try await store.adopt(path, metadata: metadata)
        var record = ImageRecord(stored, filename: name + compression.suffix)
        if let known = images[record.fingerprint] { record = known }
        try add(record)
        return record
    }
}
