public import ApusAPI
import Images
import LinuxSystem
import Storage

extension ContainerService {
    /// Makes a container.
    public func create(_ post: InstancesPost) async throws -> ApusAPI.Operation {
        if post.source.type == "image" { try await images.check(post.source) }
        let name = post.name.isEmpty ? freeName() : post.name
        try Names.checkInstance(name)
        guard post.type.isEmpty || post.type == "container" else {
            throw ServiceError.badRequest(
                "Instances of type \"\(post.type)\" are not supported; use \"container\"")
        }
        guard entries[name] == nil else { throw ServiceError.conflict("Instance \"\(name)\" already exists") }
        let architecture = Machine.names.architecture
        guard post.architecture.isEmpty || post.architecture == architecture else {
            throw ServiceError.badRequest("This machine runs \(architecture), not \(post.architecture)")
        }
        var record = ContainerRecord()
        record.name = name
        record.uuid = RandomID.uuid()
        record.architecture = architecture
        record.description = post.description
        record.ephemeral = post.ephemeral
        record.config = post.config.filter { !$0.key.hasPrefix("volatile.") }
        if post.source.type == "migration" {
            record.volatile = post.config.hardwareAddresses
            record.baseImage = post.source.baseImage
        }
        record.devices = post.devices
        record.profiles = post.profiles ?? ["default"]
        if post.source.type == "copy" { try inherit(&record, from: post) }
        record.createdAt = .now()
        for profile in record.profiles where (try? profiles.get(profile)) == nil {
            throw ServiceError.notFound("Profile not found: this host has no profile \"\(profile)\"")
        }
        try ConfigCheck.check(record.config)
        try ConfigCheck.check(devices: record.devices)
        record.pool = try pools.poolForRoot(expanded(record).devices)
        if post.source.type == "migration" { return try takeIn(record, post.source) }
        record = withAddresses(record)
        try await checkDevices(record)
        try checkSource(post.source)
        let source = post.source
        // Whoever copies a container keeps others from changing it meanwhile.
        let origin =
            source.type == "copy"
            ? try context.locks.acquireToRead(try copyOrigin(source).container, "being copied") : nil
        do {
            return try context.operate(
                on: name, "creating", "Creating instance", detail: source.source, mayCancel: true
            ) { [record] handle in
                defer { origin?.release() }
                try await self.createNow(record, source, handle)
                return nil
            }
        } catch {
            origin?.release()
            throw error
        }
    }

    private func checkSource(_ source: InstanceSource) throws {
        switch source.type {
        case "none", "image": break
        case "copy": _ = try copyOrigin(source)
        case "":
            throw ServiceError.badRequest("Say where the container's files come from: the source has no type")
        default: throw ServiceError.badRequest("Unknown source type \"\(source.type)\"")
        }
    }

    /// Makes a container; its lock is held by the caller.
    private func createNow(_ planned: ContainerRecord, _ source: InstanceSource, _ handle: OperationHandle)
        async throws
    {
        var record = planned
        let name = record.name
        var image: ImageRecord?
        if source.type == "image" {
            let found = try await images.obtain(source, handle)
            record.baseImage = found.fingerprint
            for (key, value) in found.properties where record.config["image.\(key)"] == nil {
                record.config["image.\(key)"] = value
            }
            image = found
        }
        let driver = try pools.driver(record.pool)
        var snapshots: [SnapshotRecord] = []
        try await withRollback { rollback in
            // The row comes first: a daemon killed from here on finds in its journal what to remove.
            record = try context.store.insert(record)
            rollback.add { [id = record.id] in try self.context.store.deleteContainer(id) }
            rollback.add {
                if driver.exists(.container(name)) { try await driver.delete(.container(name)) }
            }
            if let image {
                try await images.prepare(image, in: driver, handle)
                handle.progress("Copying files")
                try await driver.copy(.image(fingerprint: image.fingerprint), to: .container(name))
            } else if source.type == "copy" {
                snapshots = try await copyFiles(of: try copyOrigin(source), to: record, driver, handle)
            } else {
                try await driver.create(.container(name)) { directory in
                    try Files.makeDirectories(directory + "/rootfs", mode: 0o755)
                }
            }
            try Task.checkCancellation()
            try await applyRootSize(record)
            try await applyTemplates(
                record, event: source.type == "copy" ? .copy : .create,
                volume: driver.directory(of: .container(name)))
        }
        entries[name] = ContainerEntry(record: record, snapshots: snapshots)
        tell(source.type == "copy" ? "instance-copied" : "instance-created", name)
    }

    private func freeName() -> String {
        while true {
            let name = Names.random()
            if entries[name] == nil { return name }
        }
    }
}
