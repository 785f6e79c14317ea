public import ApusAPI
import ContainerRuntime
import LinuxSystem
import Logging
import Storage

/// Containers: what there is, what runs, and every change to them. Long work runs as operations that hold the
/// container's lock; this actor itself is never blocked.
public actor ContainerService {
    let context: ServiceContext
    let pools: PoolService
    let profiles: ProfileService
    let networks: NetworkService
    let images: ImageService
    let trust: TrustService
    let sessions: SessionRegistry
    var entries: [String: ContainerEntry] = [:]
    var idmaps: IDMapAllocator
    /// Containers that are on their way here while they run, by the move's id.
    var sinkMoves: [String: SinkMove] = [:]
    /// Backups that are being made, as "container/backup".
    var backupsUnderWay: Set<String> = []
    /// Sleeps until the next backup expires.
    var backupUpkeep: Task<Void, any Error>?
    /// Set when the daemon is about to end: containers that end now are to run again next time.
    var endingDaemon = false

    init(
        context: ServiceContext, pools: PoolService, profiles: ProfileService, images: ImageService,
        networks: NetworkService, trust: TrustService,
        idmapPool: Range<Int64>
    ) throws {
        self.context = context
        self.pools = pools
        self.profiles = profiles
        self.networks = networks
        self.images = images
        self.trust = trust
        sessions = SessionRegistry()
        idmaps = IDMapAllocator(pool: idmapPool, isSpread: true)
        let snapshots = Dictionary(grouping: try context.store.snapshots(), by: \.containerID)
        for record in try context.store.containers() {
            entries[record.name] = ContainerEntry(record: record, snapshots: snapshots[record.id] ?? [])
            if let range = record.idmap { idmaps.restore(record.name, range) }
        }
    }

    // MARK: Reading

    /// The names of all containers.
    public func names() -> [String] { entries.keys.sorted() }

    /// All containers, by name.
    /// - Parameter full: with their state and snapshots.
    public func list(full: Bool) -> [Instance] {
        let present = entries.values.sorted { $0.record.name < $1.record.name }.map { entry in
            (entry: entry, expanded: expanded(entry.record))
        }
        return Parallel.map(present) { self.instance($0.entry, $0.expanded, full: full) }
    }

    /// A container.
    /// - Parameter full: with its state and snapshots.
    public func get(_ name: String, full: Bool = false) throws -> Instance {
        instance(try entry(name), full: full)
    }

    /// The tag of a container's editable part.
    public func etag(_ name: String) throws -> String { try ETag.of(try entry(name).editable) }

    /// What a container uses right now.
    public func state(_ name: String) throws -> InstanceState { state(try entry(name)) }

    /// What the containers use: URLs by pool, by profile.
    public func usage() -> (pools: [String: [String]], profiles: [String: [String]]) {
        var pools: [String: [String]] = [:]
        var profiles: [String: [String]] = [:]
        for entry in entries.values.sorted(by: { $0.record.name < $1.record.name }) {
            let url = "/1.0/instances/\(entry.record.name)"
            pools[entry.record.pool, default: []].append(url)
            for snapshot in entry.snapshots {
                pools[entry.record.pool, default: []].append("\(url)/snapshots/\(snapshot.name)")
            }
            for profile in entry.record.profiles { profiles[profile, default: []].append(url) }
        }
        return (pools, profiles)
    }

    /// What a container uses: of its disk, where the pool counts that.
    private nonisolated func state(_ entry: ContainerEntry) -> InstanceState {
        var state = StateReader.state(entry)
        if let driver = try? pools.location(entry.record.pool),
            let used = driver.countedUsage(of: .container(entry.record.name))
        {
            state.disk["root"] = InstanceStateDisk(usage: Int64(clamping: used))
        }
        return state
    }

    private func instance(_ entry: ContainerEntry, full: Bool) -> Instance {
        instance(entry, expanded(entry.record), full: full)
    }

    private nonisolated func instance(
        _ entry: ContainerEntry, _ expanded: ExpandedConfig, full: Bool
    ) -> Instance {
        var instance = entry.instance(expanded)
        if full {
            instance.state = state(entry)
            instance.snapshots = entry.snapshots.map(\.snapshot)
            instance.backups = backupFiles.list(entry.record.name)
        }
        return instance
    }

    // MARK: What the other files of this service use

    func entry(_ name: String) throws -> ContainerEntry {
        guard let entry = entries[name] else { throw ServiceError.notFound("Instance not found") }
        return entry
    }

    func expanded(_ record: ContainerRecord) -> ExpandedConfig {
        profiles.expand(record.profiles, record.config, record.devices)
    }

    /// The running generation of a container.
    func live(_ name: String) throws -> LiveContainer {
        guard let live = try entry(name).live else {
            throw ServiceError.badRequest("The instance is not running")
        }
        return live
    }

    /// Changes a container's record, in the database first.
    @discardableResult
    func change(_ name: String, _ edit: (inout ContainerRecord) -> Void) throws -> ContainerRecord {
        var entry = try entry(name)
        edit(&entry.record)
        try context.store.update(entry.record)
        entries[name]?.record = entry.record
        return entry.record
    }

    nonisolated func logger(_ name: String) -> Logger {
        var logger = context.logger
        logger[metadataKey: "instance"] = "\(name)"
        return logger
    }

    func tell(_ action: String, _ name: String, _ context: JSONValue? = nil) {
        self.context.events.lifecycle(action, "/1.0/instances/\(name)", context: context)
    }
}
