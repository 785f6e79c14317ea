import Yams

extension BackupIndex {
    /// The largest index that is read.
    static let largestFile = 4 << 20
    /// The newest form of Apus' own part that this program writes and reads.
    private static let format = 1

    /// Reads `backup/index.yaml`. Only what is asked for is looked at: references that multiply cost nothing.
    /// - Parameter config: `backup/container/backup.yaml`, of archives whose index says nothing of the container.
    init(yaml: [UInt8], config: [UInt8]? = nil) throws {
        let root = try Self.mapping(yaml, "backup/index.yaml")
        let name = root["name"]?.scalar?.string ?? ""
        let known = try config.map { try Self.mapping($0, "backup/container/backup.yaml") }
        guard let about = root["config"]?.mapping ?? known, let container = about["container"]?.mapping else {
            throw ImageError(.invalid, "the backup does not say what its container is")
        }
        let snapshots = (about["snapshots"]?.sequence ?? []).compactMap { $0.mapping.map(Instance.init) }
        self.init(
            instance: Instance(container), snapshots: snapshots, pool: root["pool"]?.scalar?.string ?? "",
            backend: root["backend"]?.scalar?.string ?? "")
        if !name.isEmpty { self.name = name }
        type = root["type"]?.scalar?.string ?? "container"
        isOptimized = root["optimized"]?.bool ?? false
        let listed = (root["snapshots"]?.sequence ?? []).compactMap { $0.scalar?.string }
        guard listed == snapshots.map(\.name), Set(listed).count == listed.count else {
            throw ImageError(.invalid, "the index of the backup does not agree with itself about snapshots")
        }
        isSummed = false
        guard let own = root["apus"]?.mapping else { return }
        guard let version = own["format"]?.int, version <= Self.format else {
            throw ImageError(.invalid, "the backup was made by a newer Apus")
        }
        isSummed = own["sum"]?.bool ?? false
        hasState = own["state"]?.bool ?? false
        snapshotStates = (own["snapshot_states"]?.sequence ?? []).compactMap { $0.scalar?.string }
        guard Set(snapshotStates).isSubset(of: listed) else {
            throw ImageError(.invalid, "the index of the backup tells of running states without snapshots")
        }
    }

    private static func mapping(_ yaml: [UInt8], _ file: String) throws -> Node.Mapping {
        let node: Node?
        do {
            node = try Yams.compose(yaml: String(decoding: yaml, as: UTF8.self))
        } catch {
            throw ImageError(.invalid, "\(file) of the backup cannot be read: \(error)")
        }
        guard let root = node?.mapping else {
            throw ImageError(.invalid, "\(file) of the backup is not a list of keys and values")
        }
        return root
    }

    /// Writes `backup/index.yaml`.
    func yaml() throws -> String {
        var root = Node.Mapping([])
        root["name"] = .text(name)
        root["backend"] = .text(backend)
        root["pool"] = .text(pool)
        if !snapshots.isEmpty { root["snapshots"] = .texts(snapshots.map(\.name)) }
        root["optimized"] = .word("false")
        root["optimized_header"] = .word("false")
        root["type"] = .text(type)
        root["config"] = .mapping(config)
        var own = Node.Mapping([])
        own["format"] = .word(String(Self.format))
        own["sum"] = .word(String(isSummed))
        own["state"] = .word(String(hasState))
        own["snapshot_states"] = .texts(snapshotStates)
        root["apus"] = .mapping(own)
        return try Yams.serialize(node: .mapping(root))
    }

    /// Writes `backup/container/backup.yaml`.
    func configYAML() throws -> String { try Yams.serialize(node: .mapping(config)) }

    private var config: Node.Mapping {
        var config = Node.Mapping([])
        var container = instance.node
        container["status"] = .text("Stopped")
        container["status_code"] = .word("102")
        container["location"] = .text("none")
        container["type"] = .text("container")
        container["project"] = .text("default")
        config["container"] = .mapping(container)
        config["snapshots"] = .list(
            snapshots.map { snapshot in
                var node = snapshot.node
                node["expires_at"] = .word(snapshot.expiresAt)
                return .mapping(node)
            })
        var pool = Node.Mapping([])
        pool["name"] = .text(self.pool)
        pool["driver"] = .text(backend)
        pool["description"] = .text("")
        pool["config"] = .texts([String: String]())
        config["pool"] = .mapping(pool)
        config["volume"] = .mapping(volume(name))
        config["volume_snapshots"] = .list(
            snapshots.map { snapshot in
                var node = Node.Mapping([])
                node["name"] = .text(snapshot.name)
                node["description"] = .text("")
                node["content_type"] = .text("filesystem")
                node["config"] = .texts([String: String]())
                node["expires_at"] = .word(snapshot.expiresAt)
                return .mapping(node)
            })
        return config
    }

    private func volume(_ name: String) -> Node.Mapping {
        var volume = Node.Mapping([])
        volume["name"] = .text(name)
        volume["type"] = .text("container")
        volume["content_type"] = .text("filesystem")
        volume["description"] = .text("")
        volume["location"] = .text("none")
        volume["config"] = .texts([String: String]())
        return volume
    }
}

extension BackupIndex.Instance {
    fileprivate init(_ fields: Node.Mapping) {
        func text(_ key: String) -> String { fields[Node(key)]?.scalar?.string ?? "" }
        name = text("name")
        architecture = text("architecture")
        description = text("description")
        config = Self.texts(fields["config"])
        devices = Self.devices(fields["devices"])
        expandedConfig = Self.texts(fields["expanded_config"])
        expandedDevices = Self.devices(fields["expanded_devices"])
        isEphemeral = fields["ephemeral"]?.bool ?? false
        profiles = (fields["profiles"]?.sequence ?? []).compactMap { $0.scalar?.string }
        createdAt = text("created_at")
        lastUsedAt = text("last_used_at")
        expiresAt = text("expires_at")
    }

    /// For LXD, which cannot go on from a running state of Apus: without one.
    fileprivate var node: Node.Mapping {
        var node = Node.Mapping([])
        node["name"] = .text(name)
        node["architecture"] = .text(architecture)
        node["description"] = .text(description)
        node["config"] = .texts(config)
        node["devices"] = .devices(devices)
        node["expanded_config"] = .texts(expandedConfig)
        node["expanded_devices"] = .devices(expandedDevices)
        node["ephemeral"] = .word(String(isEphemeral))
        node["profiles"] = .texts(profiles)
        node["stateful"] = .word("false")
        node["created_at"] = .word(createdAt)
        node["last_used_at"] = .word(lastUsedAt)
        return node
    }

    private static func texts(_ node: Node?) -> [String: String] {
        var result: [String: String] = [:]
        for (key, value) in node?.mapping ?? [:] {
            if let key = key.scalar?.string, let value = value.scalar?.string { result[key] = value }
        }
        return result
    }

    private static func devices(_ node: Node?) -> [String: [String: String]] {
        var result: [String: [String: String]] = [:]
        for (key, value) in node?.mapping ?? [:] {
            if let key = key.scalar?.string { result[key] = texts(value) }
        }
        return result
    }
}

extension Node {
    /// A text that stays one, also if it looks like a number.
    fileprivate static func text(_ value: String) -> Node { Node(value, Tag(.str), .doubleQuoted) }

    /// A number, a truth or a time.
    fileprivate static func word(_ value: String) -> Node { Node(value) }

    fileprivate static func list(_ nodes: [Node]) -> Node { .sequence(Node.Sequence(nodes)) }

    fileprivate static func texts(_ values: [String]) -> Node { .list(values.map { .text($0) }) }

    fileprivate static func texts(_ values: [String: String]) -> Node {
        var mapping = Node.Mapping([])
        for (key, value) in values.sorted(by: { $0.key < $1.key }) { mapping[text(key)] = .text(value) }
        return .mapping(mapping)
    }

    fileprivate static func devices(_ values: [String: [String: String]]) -> Node {
        var mapping = Node.Mapping([])
        for (key, value) in values.sorted(by: { $0.key < $1.key }) { mapping[text(key)] = texts(value) }
        return .mapping(mapping)
    }
}
