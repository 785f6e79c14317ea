import LinuxSystem

/// One storage pool. Every operation is whole or leaves nothing behind, and may be called from any task.
///
/// A volume is a directory that holds `rootfs/` and whatever else belongs to it (`metadata.yaml`,
/// `templates/`); copies and snapshots take all of it. Owners on disk are the container's own: ids are
/// shifted by id-mapped mounts.
public protocol StorageDriver: Sendable {
    /// The driver's name as users write it: `dir`.
    var driver: String { get }

    /// The pool's own directory.
    var poolPath: String { get }

    /// Makes the pool's directories (again: only those that are missing).
    func createPool() async throws

    /// Makes a pool that was made before usable: when the daemon starts, and when its source was away.
    /// Does nothing if it is usable.
    func activate() throws

    /// Gives up what `activate` took of the host. Call it when nothing uses the pool.
    func deactivate() throws

    /// Makes the pool larger.
    func resize(to size: UInt64) async throws

    /// Whether volumes can be limited.
    var limitsVolumes: Bool { get }

    /// Limits the bytes of a volume; nil: no limit.
    func setQuota(of volume: Volume, bytes: UInt64?) async throws

    /// Removes the pool with everything in it.
    func deletePool() async throws

    /// The directory of a volume, whether it exists or not.
    func directory(of volume: Volume) -> String

    /// Whether a volume exists.
    func exists(_ volume: Volume) -> Bool

    /// All volumes of the pool.
    func volumes() async throws -> [Volume]

    /// Makes a volume by letting `fill` write into an empty directory, which becomes the volume when `fill`
    /// returns. `fill` gets that directory's path and makes `rootfs` (and more) in it.
    func create(_ volume: Volume, fill: @Sendable (_ directory: String) async throws -> Void) async throws

    /// Makes `destination` as a copy of `source`: an image's container, a snapshot of a stopped container, a
    /// copy.
    func copy(_ source: Volume, to destination: Volume) async throws

    /// Takes the first pass of a snapshot while the container runs. End the session with `commit`, `finish`
    /// or `cancel`.
    func beginSnapshot(of container: String, named name: String) async throws -> any SnapshotSession

    /// Makes a copy of `source` that stands ready to take the place of the container's volume.
    func stage(_ source: Volume, for container: String) async throws -> any StagedVolume

    /// After a crash: the volume that a former process has staged for a container and neither discarded nor
    /// removed. Whether it had been swapped only the caller can tell: `directory` is where the other volume
    /// lies, the one that is not the container's now. `swap` exchanges the two, `discard` removes the other
    /// one.
    func staged(for container: String) async -> (any StagedVolume)?

    /// Renames a volume. A container's snapshots go with it.
    func rename(_ volume: Volume, to newName: String) async throws

    /// Deletes a volume; a container with all its snapshots. The name is free when this returns; the files
    /// are removed in the background (`settle`). Never leaves the pool's own file system.
    func delete(_ volume: Volume) async throws

    /// Waits until the files of deleted volumes are gone.
    func settle() async

    /// The bytes a volume occupies on disk.
    func usage(of volume: Volume) async throws -> UInt64

    /// The same where the file system counts by itself; nil where files would have to be added up.
    func countedUsage(of volume: Volume) -> UInt64?

    /// The size of the file system that holds the pool.
    func space() throws -> PoolSpace

    /// Removes what operations cut short by a crash have left. Call it when nothing of the pool is being
    /// worked on: no session open, nothing staged. Returns what was removed, for the log.
    func removeLeftovers() async throws -> [String]
}

extension StorageDriver {
    /// Whether the pool's directories are where they belong: its disk may have gone.
    public var isThere: Bool { Files.isDirectory(poolPath + "/containers") }

    /// They can, unless the driver says otherwise.
    public var limitsVolumes: Bool { true }

    /// The root file system of a volume, whether it exists or not.
    public func rootfs(of volume: Volume) -> String { directory(of: volume) + "/rootfs" }

    /// Puts a container's files back to those of a volume (its snapshot), while no process uses them.
    public func restore(container: String, from source: Volume) async throws {
        let staged = try await stage(source, for: container)
        do {
            try await staged.swap()
        } catch {
            await staged.discard()
            throw error
        }
        await staged.discard()
    }
}

/// A snapshot between its two passes: the container still runs, a first copy is there.
public protocol SnapshotSession: Sendable {
    /// The snapshot this will become.
    var volume: Volume { get }

    /// The figures of the first pass.
    var firstPass: PassReport { get }

    /// Brings the copy up to date. Call it while nothing can write to the container's files; again, if they
    /// have been written to since. On failure nothing is left of the copy and the session has ended.
    @discardableResult
    func update() async throws -> PassReport

    /// Makes the copy, as it was updated last, the snapshot; the container may run by then.
    /// On failure nothing is left of the snapshot and the session has ended.
    func commit() async throws

    /// Gives the snapshot up and removes what was copied. Does nothing once the session has ended.
    func cancel() async
}

extension SnapshotSession {
    /// Updates and commits. Call it while nothing can write to the container's files.
    @discardableResult
    public func finish() async throws -> PassReport {
        let report = try await update()
        try await commit()
        return report
    }
}

/// A volume that stands ready beside a container's own.
public protocol StagedVolume: Sendable {
    /// The container it is meant for.
    var container: String { get }

    /// Where it lies now: beside the live volume, or after `swap` where the live one was.
    var directory: String { get }

    /// Its root file system. Mounts made of it (id-mapped clones) stay valid across `swap`.
    var rootfs: String { get }

    /// Exchanges it with the container's volume, atomically. Swapping again undoes it.
    func swap() async throws

    /// Removes whichever of the two volumes is not the container's now.
    /// After `swap` this deletes the former volume: the commit. Without, it gives the staged one up.
    func discard() async
}

/// What one pass over a volume has done.
public struct PassReport: Sendable, Hashable {
    /// Files, directories and other entries looked at.
    public var entries = 0
    /// Entries made or written anew.
    public var copied = 0
    /// Entries removed from the copy because they are gone from the source.
    public var removed = 0
    /// Bytes of file data written.
    public var bytes: UInt64 = 0
    /// How long it took.
    public var duration: Duration = .zero

    /// An empty report.
    public init() {}
}

/// The room in the file system of a pool.
public struct PoolSpace: Sendable, Hashable {
    /// Its size in bytes.
    public let total: UInt64
    /// The bytes that can still be written.
    public let available: UInt64
    /// How many inodes it has (0: not limited).
    public let inodes: UInt64
    /// How many inodes are left.
    public let availableInodes: UInt64

    /// The bytes in use.
    public var used: UInt64 { total - min(total, available) }

    /// A pool's figures.
    public init(total: UInt64, available: UInt64, inodes: UInt64, availableInodes: UInt64) {
        self.total = total
        self.available = available
        self.inodes = inodes
        self.availableInodes = availableInodes
    }
}
