public import LinuxSystem

/// What a transfer is asked for beside its volume.
public struct TransferOptions: Sendable {
    /// What the two sides agreed on.
    public var choice: TransferChoice
    /// The sink: has a container's volume with the name that is to be brought up to date.
    public var refreshes = false
    /// The sink: a volume of the same pool that is much like what comes (its image), if there is one.
    public var base: Volume?
    /// The sink, rsync: how the peer's files are shifted, as its header says; nil: they are not.
    public var map: IDMap?
    /// The source, rsync: the program `apus-runtime`; nil: the one beside this program.
    public var runtime: String?
    /// The source, btrfs: a snapshot that the sink got before in the same `group`: only what differs is sent.
    public var parent: Volume?
    /// The sink, btrfs: the volumes received together.
    public var group: TransferGroup?
    /// The source: asks the kernel what changes, where it can tell. Else every file is looked at again in each pass.
    public var watches = true
    /// Gets told how far it is. rsync tells nothing: whoever passes its bytes on can count them.
    public var progress: TransferProgress.Callback

    /// Options for a choice.
    public init(_ choice: TransferChoice, progress: @escaping TransferProgress.Callback = { _ in }) {
        self.choice = choice
        self.progress = progress
    }
}

extension StorageDriver {
    /// Begins to send a volume. If a container runs in it, what happens to its files is watched from now on.
    public func sender(_ source: VolumeSource, _ options: TransferOptions) async throws -> any VolumeSender {
        try TransferSides.requireVolume(source.volume, in: self)
        if options.choice.method == .shared { return SharedSender(volume: source.volume) }
        if options.choice.method == .rsync {
            return RsyncSender(
                source, directory: directory(of: source.volume), features: options.choice.rsync ?? .none,
                relay: try options.runtime ?? TransferSides.neighbour("apus-runtime"))
        }
        if options.choice.method == .btrfs {
            guard let driver = self as? BtrfsDriver else { throw TransferSides.notBtrfs(self) }
            return try await Blocking.run {
                try BtrfsSender(source, of: driver, parent: options.parent, options)
            }
        }
        return try await Blocking.run {
            try TreeSender(
                source, directory: directory(of: source.volume), pool: poolPath, options)
        }
    }

    /// What the pool can do for a transfer of a volume (on the sink: of nil, as there is none yet). `shared`: it is
    /// marked as one that several hosts have.
    public func transferAbility(of volume: Volume?, shared: Bool) async throws -> TransferAbility {
        try await Blocking.run {
            // What lies in subvolumes of its own is not in a stream of btrfs.
            let hasNested = try volume.map { try Subvolume.hasNested(directory(of: $0)) } ?? false
            return TransferAbility(
                driver: hasNested ? "dir" : driver,
                sharedPool: shared ? try SharedPool.open(poolPath).id : nil,
                hasRsync: (try? Spawn.find("rsync")) != nil)
        }
    }

    /// Begins to receive a volume. Its name is free, or `refreshes` is set.
    public func receiver(_ volume: Volume, _ options: TransferOptions) async throws -> any VolumeReceiver {
        if options.choice.method == .shared {
            try TransferSides.requireVolume(volume, in: self)
            return SharedReceiver(volume: volume, directory: directory(of: volume))
        }
        if options.choice.method == .btrfs {
            guard let driver = self as? BtrfsDriver else { throw TransferSides.notBtrfs(self) }
            let place = try await NewPlace.begin(volume, in: self, base: nil)
            return BtrfsReceiver(
                volume, in: place, of: driver, group: options.group, progress: options.progress)
        }
        let place = try await TransferSides.place(for: volume, in: self, options)
        if options.choice.method == .rsync {
            return RsyncReceiver(
                volume, in: place, features: options.choice.rsync ?? .none, map: options.map)
        }
        return TreeReceiver(volume, in: place, of: self, progress: options.progress)
    }
}

enum TransferSides {
    static func notBtrfs(_ pool: any StorageDriver) -> StorageError {
        StorageError(.unsupported, "storage pool \(pool.poolPath) has the driver \(pool.driver), not btrfs")
    }

    /// A program that lies beside this one.
    static func neighbour(_ name: String) throws -> String {
        let own = try Files.readLink("/proc/self/exe")
        return own.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/" + name
    }

    static func requireVolume(_ volume: Volume, in pool: any StorageDriver) throws {
        guard pool.exists(volume) else {
            throw StorageError(.notFound, "\(volume) is not in storage pool \(pool.poolPath)")
        }
    }

    /// Where a volume is received.
    static func place(for volume: Volume, in pool: any StorageDriver, _ options: TransferOptions) async throws
        -> any ReceivingPlace
    {
        if options.refreshes, pool.exists(volume) {
            guard case .container(let name) = volume else {
                throw StorageError(.unsupported, "only a container's volume can be refreshed, not \(volume)")
            }
            return RefreshedPlace(staged: try await pool.stage(volume, for: name))
        }
        let base = options.base.flatMap { pool.exists($0) ? $0 : nil }
        return try await NewPlace.begin(volume, in: pool, base: base)
    }
}
