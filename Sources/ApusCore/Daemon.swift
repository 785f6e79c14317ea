public import ApusAPI
import ContainerRuntime
import Glibc
import LinuxSystem
public import Logging
import Synchronization

/// Where a daemon keeps what it has, and what it needs.
public struct DaemonConfiguration: Sendable {
    /// APUS_DIR.
    public var directory: String
    /// The path of `apus-runtime`.
    public var runtime: String

    /// A daemon's place and the program that runs its containers.
    public init(directory: String, runtime: String) {
        self.directory = directory
        self.runtime = runtime
    }
}

/// Everything the daemon does, without the wire: services that know nothing of HTTP.
public final class Daemon: Sendable {
    /// Where everything lies.
    public let directory: DataDirectory
    /// Events for whoever listens.
    public let events: EventHub
    /// Work in the background.
    public let operations: OperationService
    /// Containers, their snapshots and sessions.
    public let containers: ContainerService
    /// Images.
    public let images: ImageService
    /// Profiles.
    public let profiles: ProfileService
    /// Networks.
    public let networks: NetworkService
    /// Storage pools.
    public let pools: PoolService
    /// Custom volumes.
    public let volumes: VolumeService
    /// Who is trusted.
    public let trust: TrustService
    /// Files inside containers.
    public let files: FileService
    /// What the daemon says of itself.
    public let info: ServerInfo

    private let context: ServiceContext
    private let lock: FileDescriptor
    private let listener = Mutex<any NetworkListener>(NoListener())
    private let configChanges = TurnTaking()
    private let ready = Occurrence()
    private let shutdownAsked = Occurrence()

    /// Opens APUS_DIR. One daemon at a time may do so.
    /// - Throws: a clear sentence if another daemon has it.
    public init(_ configuration: DaemonConfiguration, events: EventHub = EventHub(), logger: Logger) throws {
        directory = DataDirectory(path: configuration.directory)
        try directory.create()
        lock = try Self.lock(directory)
        self.events = events
        operations = OperationService(events: events)
        let store = try Store(path: directory.database)
        try store.checkIntegrity()
        context = ServiceContext(
            directory: directory, daemonID: try Self.daemonID(directory), store: store,
            config: try ServerConfig(store: store), events: events,
            operations: operations, locks: InstanceLocks(), logger: logger,
            launcher: RuntimeLauncher(program: configuration.runtime), layout: try CgroupLayout.current(),
            checkpoints: CheckpointEngine(version: ApusVersion.current))
        pools = try PoolService(context: context)
        volumes = try VolumeService(context: context, pools: pools)
        profiles = try ProfileService(context: context)
        networks = try NetworkService(context: context)
        let tokens = TokenService(operations: operations)
        trust = try TrustService(context: context, tokens: tokens)
        images = try ImageService(context: context, pools: pools, tokens: tokens)
        containers = try ContainerService(
            context: context, pools: pools, profiles: profiles, images: images, networks: networks,
            trust: trust,
            idmapPool: IDMapAllocator.hostPool())
        files = FileService(context: context, containers: containers)
        info = ServerInfo(context: context, pools: pools, trust: trust)
    }

    /// Finds out what became of the containers since the daemon last ran, and starts those that are to run.
    public func recover() async {
        let bootID = Machine.bootID
        let former = try? context.store.serverValue("boot_id")
        await networks.startAll()
        await containers.recover()
        try? context.store.setServerValue("boot_id", bootID)
        await containers.autostart(freshBoot: former != nil && former != bootID)
        await images.reschedule()
        await containers.rescheduleBackups()
        await context.checkpoints.warm()
        ready.happen()
    }

    /// Changes the daemon's own keys.
    /// - Parameter merge: whether keys that are not given stay as they are; an empty value unsets.
    public func update(config: ConfigMap, merge: Bool, ifMatch: String?) async throws {
        let listener = listener.withLock { $0 }
        try await configChanges.take { [context] in
            let proposal = try await context.config.proposal(config, merge: merge, ifMatch: ifMatch)
            try await listener.move(to: proposal["core.https_address"].flatMap { ListenAddress($0) }) {
                try context.config.commit(proposal)
            }
        }
        context.events.lifecycle("config-updated", "/1.0")
        await images.reschedule()
    }

    /// Has the network served by `listener` from now on, where `core.https_address` says.
    public func serve(network listener: any NetworkListener) async throws {
        self.listener.withLock { $0 = listener }
        try await configChanges.take { [context] in
            guard let address = ListenAddress(context.config["core.https_address"]) else { return }
            try await listener.resume(at: address)
        }
    }

    /// Waits until `recover` is done.
    public func waitUntilReady() async -> Bool { await ready.wait() }

    /// Asks the daemon to stop all containers cleanly and to end.
    public func askForShutdown() { shutdownAsked.happen() }

    /// Waits until someone asks for a shutdown.
    public func waitForShutdown() async { _ = await shutdownAsked.wait() }

    /// Stops all containers cleanly; they start again with the next daemon.
    public func stopContainers() async {
        await containers.stopAll()
        await networks.stopAll()
    }

    /// Waits for operations that are under way, for a while. What is not done then is put right at the next start.
    public func drain(timeout: Duration) async { await operations.drain(timeout: timeout) }

    /// Gives back to the host what nothing uses any more: mounts of pools without a running container. The last thing
    /// a daemon does.
    public func releaseHost() async { pools.release(except: await containers.poolsInUse()) }

    private static func lock(_ directory: DataDirectory) throws -> FileDescriptor {
        let file = try FileDescriptor.open(directory.lock, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        guard flock(file.rawValue, LOCK_EX | LOCK_NB) == 0 else {
            throw ServiceError.failure(
                "Another apusd is using \(directory.path). End it first, or set APUS_DIR to another directory"
            )
        }
        return file
    }

    /// Eight hex digits, made once: they keep the cgroups of two daemons on one machine apart.
    private static func daemonID(_ directory: DataDirectory) throws -> String {
        if let known = try? Files.text(directory.daemonID).trimmingSpaces, known.utf8.count == 8 {
            return known
        }
        let id = RandomID.bytes(4).hex
        try Files.replace(directory.daemonID, Array((id + "\n").utf8), mode: 0o644)
        return id
    }
}

extension ContainerService {
    /// Stops all containers, as they ask to be; they are to run again when the daemon does.
    func stopAll() async {
        endingDaemon = true
        let running = entries.filter { $0.value.live != nil }
        let groups = Dictionary(grouping: running.keys) { name in
            entries[name].flatMap { expanded($0.record).config["boot.stop.priority"] }.flatMap { Int($0) }
                ?? 0
        }
        // All of one priority at once, the next when they have ended.
        for (_, names) in groups.sorted(by: { $0.key > $1.key }) {
            await withTaskGroup(of: Void.self) { group in
                for name in names { group.addTask { await self.stopForShutdown(name) } }
            }
        }
    }

    private func stopForShutdown(_ name: String) async {
        guard let entry = entries[name] else { return }
        let seconds = expanded(entry.record).config["boot.host_shutdown_timeout"].flatMap { Int($0) } ?? 30
        do {
            try await stopNow(name, timeout: .seconds(seconds), force: false)
        } catch {
            logger(name).warning("did not end in \(seconds) s; it is killed")
            guard let live = entries[name]?.live else { return }
            try? await kill(live)
        }
    }
}
