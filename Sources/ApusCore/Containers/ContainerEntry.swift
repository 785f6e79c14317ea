import ApusAPI
import ContainerRuntime

/// What the service keeps in memory about a container.
struct ContainerEntry: Sendable {
    var record: ContainerRecord
    var snapshots: [SnapshotRecord] = []
    var live: LiveContainer?

    var status: StatusCode {
        guard live != nil else { return .stopped }
        return record.frozen ? .frozen : .running
    }

    /// The keys that the daemon keeps, as users see them.
    var volatileConfig: ConfigMap {
        var config: ConfigMap = [:]
        if !record.baseImage.isEmpty { config["volatile.base_image"] = record.baseImage }
        if let idmap = record.idmap { config["volatile.idmap.base"] = String(idmap.lowerBound) }
        config["volatile.last_state.power"] = live == nil ? "STOPPED" : "RUNNING"
        config["volatile.uuid"] = record.uuid
        config.merge(record.volatile) { own, _ in own }
        for (name, device) in live?.devices.all ?? [:] {
            for interface in device.contribution.interfaces where interface.kind == .veth {
                config["volatile.\(name).host_name"] = interface.hostName
            }
        }
        return config
    }

    /// The container as the API shows it.
    func instance(_ expanded: ExpandedConfig) -> Instance {
        var instance = Instance()
        instance.name = record.name
        instance.architecture = record.architecture
        instance.description = record.description
        instance.ephemeral = record.ephemeral
        instance.createdAt = record.createdAt
        instance.lastUsedAt = record.lastUsedAt
        instance.profiles = record.profiles
        instance.stateful = record.stateful
        let volatile = volatileConfig
        instance.config = record.config.merging(volatile) { own, _ in own }
        instance.devices = record.devices
        instance.expandedConfig = expanded.config.merging(volatile) { own, _ in own }
        instance.expandedDevices = expanded.devices
        instance.status = status.text
        instance.statusCode = status.rawValue
        if record.stateful {
            instance.apusStateSize = record.stateSize
            instance.apusStateTakenAt = record.stateTakenAt
        }
        return instance
    }

    /// What users can edit, for the ETag.
    var editable: InstancePut {
        var put = InstancePut()
        put.architecture = record.architecture
        put.config = record.config
        put.devices = record.devices
        put.ephemeral = record.ephemeral
        put.profiles = record.profiles
        put.description = record.description
        return put
    }
}

/// Keys and devices of profiles and container together.
struct ExpandedConfig: Sendable, Equatable {
    var config: ConfigMap = [:]
    var devices: DevicesMap = [:]

    /// Later profiles override earlier ones, and the container all of them.
    init(profiles: [Profile], config: ConfigMap, devices: DevicesMap) {
        for profile in profiles {
            self.config.merge(profile.config) { _, new in new }
            self.devices.merge(profile.devices) { _, new in new }
        }
        self.config.merge(config) { _, new in new }
        self.devices.merge(devices) { _, new in new }
    }

    func isTrue(_ key: String, default fallback: Bool = false) -> Bool {
        ConfigValues.isTrue(config, key, default: fallback)
    }
}

extension SnapshotRecord {
    /// The snapshot as the API shows it.
    var snapshot: InstanceSnapshot {
        var snapshot = InstanceSnapshot()
        snapshot.name = name
        snapshot.createdAt = createdAt
        snapshot.expiresAt = expiresAt
        snapshot.stateful = stateful
        snapshot.size = size
        snapshot.apusStateSize = stateSize
        snapshot.architecture = architecture
        snapshot.ephemeral = ephemeral
        snapshot.config = config
        snapshot.devices = devices
        snapshot.profiles = profiles
        snapshot.expandedConfig = expandedConfig
        snapshot.expandedDevices = expandedDevices
        snapshot.lastUsedAt = lastUsedAt
        return snapshot
    }
}
