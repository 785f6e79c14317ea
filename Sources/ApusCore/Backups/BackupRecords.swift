import ApusAPI
import FoundationEssentials
import Images
import LinuxSystem

extension BackupIndex {
    /// A container that is being exported.
    init(
        _ entry: ContainerEntry, _ snapshots: [SnapshotRecord], _ expanded: ExpandedConfig, _ driver: String
    ) {
        self.init(
            instance: Instance(entry, expanded), snapshots: snapshots.map(Instance.init),
            pool: entry.record.pool, backend: driver)
        hasState = entry.record.stateful
        snapshotStates = snapshots.filter(\.stateful).map(\.name)
    }
}

extension BackupIndex.Instance {
    fileprivate init(_ entry: ContainerEntry, _ expanded: ExpandedConfig) {
        self.init()
        let record = entry.record
        var volatile = entry.volatileConfig.filter { !$0.key.hasSuffix(".host_name") }
        // Its owners in the archive are those that it knows itself, and nobody is to start it by himself.
        volatile["volatile.idmap.base"] = nil
        volatile["volatile.last_state.idmap"] = "[]"
        volatile["volatile.last_state.power"] = "STOPPED"
        name = record.name
        architecture = record.architecture
        description = record.description
        config = record.config.merging(volatile) { own, _ in own }
        devices = record.devices
        expandedConfig = expanded.config.merging(volatile) { own, _ in own }
        expandedDevices = expanded.devices
        isEphemeral = record.ephemeral
        profiles = record.profiles
        createdAt = record.createdAt.description
        lastUsedAt = record.lastUsedAt.description
        expiresAt = Timestamp.zero.description
    }

    fileprivate init(_ record: SnapshotRecord) {
        self.init()
        let volatile = ["volatile.last_state.idmap": "[]"]
        name = record.name
        architecture = record.architecture
        config = record.config.merging(volatile) { own, _ in own }
        devices = record.devices
        expandedConfig = record.expandedConfig.merging(volatile) { own, _ in own }
        expandedDevices = record.expandedDevices
        isEphemeral = record.ephemeral
        profiles = record.profiles
        createdAt = record.createdAt.description
        lastUsedAt = record.lastUsedAt.description
        expiresAt = record.expiresAt.description
    }

    /// The user's own keys.
    var ownConfig: ConfigMap { config.filter { !$0.key.hasPrefix("volatile.") } }

    /// How the owners of its files are shifted in the archive: LXD packs them as they lie on its disk. Nil if they are not.
    var shift: IDMap? {
        struct Line: Decodable {
            var Isuid: Bool
            var Isgid: Bool
            var Hostid: UInt32
            var Nsid: UInt32
            var Maprange: UInt32
        }
        guard let text = config["volatile.last_state.idmap"],
            let lines = try? JSONDecoder().decode([Line].self, from: Data(text.utf8)), !lines.isEmpty
        else { return nil }
        func ranges(_ wanted: KeyPath<Line, Bool>) -> [IDMapEntry] {
            lines.filter { $0[keyPath: wanted] }.map {
                IDMapEntry(inside: $0.Nsid, outside: $0.Hostid, count: $0.Maprange)
            }
        }
        return IDMap(users: ranges(\.Isuid), groups: ranges(\.Isgid))
    }
}

extension SnapshotRecord {
    /// A snapshot of a backup, without running state.
    init(_ snapshot: BackupIndex.Instance) {
        self.init()
        name = snapshot.name
        createdAt = Timestamp(snapshot.createdAt) ?? .now()
        expiresAt = Timestamp(snapshot.expiresAt) ?? .zero
        lastUsedAt = Timestamp(snapshot.lastUsedAt) ?? .zero
        architecture = snapshot.architecture
        ephemeral = snapshot.isEphemeral
        config = snapshot.ownConfig
        devices = snapshot.devices
        profiles = snapshot.profiles
        expandedConfig = snapshot.expandedConfig.filter { !$0.key.hasPrefix("volatile.") }
        expandedDevices = snapshot.expandedDevices
    }
}
