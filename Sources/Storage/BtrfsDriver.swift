import CStorage
import Glibc
import LinuxSystem

/// A pool on btrfs: every volume is a subvolume, so that copies and snapshots take no time and no room.
///
/// Names and staging are those of a `dir` pool; only how volumes are made, copied and removed differs.
public struct BtrfsDriver: StorageDriver {
    /// `btrfs`.
    public let driver = "btrfs"
    /// The directory in which the volumes are.
    public var poolPath: String { plain.poolPath }
    /// Where the file system comes from.
    public let source: BtrfsSource
    /// Options for mounting it.
    public let mountOptions: String
    let plain: DirDriver

    /// Containers may remove the subvolumes they made.
    public static let defaultMountOptions = "user_subvol_rm_allowed"

    /// The pool at a path, with its file system from `source`; make it with `createPool`.
    public init(path: String, source: BtrfsSource, mountOptions: String = Self.defaultMountOptions) {
        plain = DirDriver(path: path)
        self.source = source
        self.mountOptions = mountOptions
    }

    // MARK: Volumes

    /// The directory of a volume.
    public func directory(of volume: Volume) -> String { plain.directory(of: volume) }

    /// Whether a volume exists.
    public func exists(_ volume: Volume) -> Bool { plain.exists(volume) }

    /// All volumes, found by their directories.
    public func volumes() async throws -> [Volume] { try await plain.volumes() }

    /// Makes a volume as a subvolume in the staging room, and renames it into place when it is whole.
    public func create(_ volume: Volume, fill: @Sendable (_ directory: String) async throws -> Void)
        async throws
    {
        try await make(volume, in: .subvolume) { try await fill($0) }
    }

    /// Takes a snapshot of a volume: at once, whatever its size.
    public func copy(_ source: Volume, to destination: Volume) async throws {
        try destination.validate()
        try plain.requirePresent(source)
        try await make(destination, in: .nothing) { directory in
            try await plain.blocking("copy \(source) to \(destination)") {
                try Subvolume.snapshot(self.directory(of: source), as: directory)
            }
        }
    }

    private func make(
        _ volume: Volume, in content: StagingPlace.Content, _ fill: (String) async throws -> Void
    ) async throws {
        try volume.validate()
        try plain.requireAbsent(volume)
        let place = try StagingPlace(pool: poolPath, content: content)
        do {
            try await fill(place.volume)
            try await plain.blocking("create \(volume)") { try install(place, as: volume) }
        } catch {
            await place.discard()
            throw StorageError.wrapping(error, doing: "cannot create \(volume)", in: poolPath)
        }
    }

    /// Gives a volume its name. A snapshot stays as it is from then on.
    func install(_ place: StagingPlace, as volume: Volume) throws {
        try place.install(as: directory(of: volume))
        if case .snapshot = volume { try Subvolume.setReadOnly(directory(of: volume), true) }
    }

    /// Writes out what is in memory, so that the snapshot itself finds little to do.
    public func beginSnapshot(of container: String, named name: String) async throws -> any SnapshotSession {
        let source = Volume.container(container)
        let snapshot = Volume.snapshot(container: container, name: name)
        try snapshot.validate()
        try plain.requirePresent(source)
        try plain.requireAbsent(snapshot)
        return try await BtrfsSnapshotSession.begin(driver: self, source: source, snapshot: snapshot)
    }

    /// Makes a snapshot that can take the place of a container's volume, with the same limit.
    public func stage(_ source: Volume, for container: String) async throws -> any StagedVolume {
        try plain.requirePresent(source)
        try plain.requirePresent(.container(container))
        let place = try StagingPlace(pool: poolPath, container: container, content: .nothing)
        let live = directory(of: .container(container))
        do {
            try await plain.blocking("copy \(source) for container \(container)") {
                try Subvolume.snapshot(self.directory(of: source), as: place.volume)
                try BtrfsQuota.copyLimit(from: live, to: place.volume)
            }
        } catch {
            await place.discard()
            throw error
        }
        return DirStagedVolume(container: container, live: live, place: place, reaper: plain.reaper)
    }

    /// Finds what a former process has staged.
    public func staged(for container: String) async -> (any StagedVolume)? {
        await plain.staged(for: container)
    }

    /// Renames a volume; a container with its snapshots, both or neither.
    public func rename(_ volume: Volume, to newName: String) async throws {
        try await plain.rename(volume, to: newName)
    }

    /// Takes a volume out of the pool; the file system frees its room in the background.
    public func delete(_ volume: Volume) async throws {
        try plain.requirePresent(volume)
        if case .snapshot = volume {
            // A read-only one could not be moved to another directory.
            try await plain.blocking("delete \(volume)") {
                try Subvolume.setReadOnly(directory(of: volume), false)
            }
        }
        try await plain.delete(volume)
    }

    /// Waits for the removal of deleted volumes.
    public func settle() async { await plain.settle() }

    /// The bytes a volume refers to, as quotas count them; else added up file by file.
    public func usage(of volume: Volume) async throws -> UInt64 {
        try plain.requirePresent(volume)
        if let counted = countedUsage(of: volume) { return counted }
        return try await plain.usage(of: volume)
    }

    /// What quotas count, where they are on.
    public func countedUsage(of volume: Volume) -> UInt64? { try? BtrfsQuota.usage(directory(of: volume)) }

    /// Limits the bytes a volume refers to, those it shares with others included.
    public func setQuota(of volume: Volume, bytes: UInt64?) async throws {
        try plain.requirePresent(volume)
        let path = directory(of: volume)
        try await plain.blocking("limit \(volume)") { try BtrfsQuota.limit(path, bytes: bytes) }
    }

    /// Asks the file system.
    public func space() throws -> PoolSpace { try plain.space() }

    /// Empties the staging room.
    public func removeLeftovers() async throws -> [String] { try await plain.removeLeftovers() }
}
