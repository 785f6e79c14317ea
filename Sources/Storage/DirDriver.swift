import CStorage
import Glibc
import LinuxSystem

/// A pool that is a plain directory: works on every file system, and shares blocks between copies (reflinks)
/// where the file system can.
///
/// Everything is made in `staging/` and renamed into place when it is whole; what is deleted is renamed into
/// `staging/` first. So a name stands for a whole volume or for nothing, also after a crash.
public struct DirDriver: StorageDriver {
    /// `dir`.
    public let driver = "dir"
    /// The pool's directory.
    public let poolPath: String
    let reaper = Reaper()

    /// The pool at a path; make it with `createPool`.
    public init(path: String) { poolPath = path }

    /// The pool's directories can be passed by everybody (containers run as users of the host) but not
    /// listed.
    private static let poolMode: mode_t = 0o711
    /// A volume is for root alone: a container's root can make setuid files in it that are root's on the
    /// host. The container itself comes in by a mount of its own.
    static let volumeMode: mode_t = 0o700
    /// The pool's directories.
    private static let rooms = ["snapshots", "containers", "custom", "images", "staging"]

    /// Makes the pool's directories.
    public func createPool() async throws {
        try await blocking("create storage pool \(poolPath)") {
            try Files.makeDirectories(poolPath, mode: Self.poolMode)
            for name in Self.rooms {
                try Self.makeDirectory("\(poolPath)/\(name)", mode: Self.poolMode)
            }
        }
    }

    /// Makes sure that the pool is where it was, and has all its directories.
    public func activate() throws {
        guard Files.isDirectory("\(poolPath)/containers") else {
            throw StorageError(
                .unavailable, "\(poolPath) is not there, or is no storage pool any more. Bring it back")
        }
        for name in Self.rooms { try Self.makeDirectory("\(poolPath)/\(name)", mode: Self.poolMode) }
    }

    /// Nothing of a directory needs to be given up.
    public func deactivate() throws {}

    /// A directory has no size of its own.
    public func resize(to size: UInt64) async throws {
        throw StorageError(.unsupported, "a pool of driver dir is as large as the file system it lies in")
    }

    /// A directory cannot be limited.
    public var limitsVolumes: Bool { false }

    /// A directory cannot be limited.
    public func setQuota(of volume: Volume, bytes: UInt64?) async throws {
        guard bytes != nil else { return }
        throw StorageError(
            .unsupported,
            "the size of \(volume) cannot be limited: its pool has the driver dir. Use a btrfs pool, or no size"
        )
    }

    /// Removes the pool with everything in it. One that is marked as shared stays as it is: other hosts have it.
    public func deletePool() async throws {
        await reaper.settle()
        if SharedPool.isMarked(poolPath) { return }
        try await blocking("delete storage pool \(poolPath)") {
            try removeRooms()
            if rmdir(poolPath) != 0 && errno != ENOENT { throw FileFailure("remove", poolPath, errno) }
        }
    }

    /// Removes all volumes, and the directories they are in.
    func removeRooms() throws {
        for name in Self.rooms { try StagingPlace.remove("\(poolPath)/\(name)") }
    }

    /// The directory of a volume.
    public func directory(of volume: Volume) -> String { "\(poolPath)/\(volume.relativePath)" }

    /// Whether a volume exists.
    public func exists(_ volume: Volume) -> Bool { Files.isDirectory(directory(of: volume)) }

    /// All volumes, found by their directories.
    public func volumes() async throws -> [Volume] {
        try await blocking("list the volumes of \(poolPath)") {
            var result: [Volume] = try Files.names(in: "\(poolPath)/images").sorted().map {
                .image(fingerprint: $0)
            }
            result += try Files.names(in: "\(poolPath)/containers").sorted().map { .container($0) }
            for container in try Files.names(in: "\(poolPath)/snapshots").sorted() {
                result += try Files.names(in: "\(poolPath)/snapshots/\(container)").sorted().map {
                    .snapshot(container: container, name: $0)
                }
            }
            result += try Files.names(in: "\(poolPath)/custom").sorted().map { .custom($0) }
            return result
        }
    }

    /// Makes a volume in the staging room, and renames it into place when it is whole.
    public func create(_ volume: Volume, fill: @Sendable (_ directory: String) async throws -> Void)
        async throws
    {
        try volume.validate()
        try requireAbsent(volume)
        let place = try StagingPlace(pool: poolPath)
        do {
            try await fill(place.volume)
            try await blocking("create \(volume)") { try place.install(as: directory(of: volume)) }
        } catch {
            await place.discard()
            throw StorageError.wrapping(error, doing: "cannot create \(volume)", in: poolPath)
        }
    }

    /// Copies a volume with all cores, sharing blocks where the file system can.
    public func copy(_ source: Volume, to destination: Volume) async throws {
        try destination.validate()
        try requirePresent(source)
        try requireAbsent(destination)
        try await againWithRoom {
            try await create(destination) { directory in
                try await blocking("copy \(source) to \(destination)") {
                    _ = try TreeCopier.copy(self.directory(of: source), to: directory)
                }
            }
        }
    }

    /// Copies a running container's files, and notes what was copied.
    public func beginSnapshot(of container: String, named name: String) async throws -> any SnapshotSession {
        let source = Volume.container(container)
        let snapshot = Volume.snapshot(container: container, name: name)
        try snapshot.validate()
        try requirePresent(source)
        try requireAbsent(snapshot)
        return try await againWithRoom {
            try await DirSnapshotSession.begin(driver: self, source: source, snapshot: snapshot)
        }
    }

    /// Makes a copy that can take the place of a container's volume.
    public func stage(_ source: Volume, for container: String) async throws -> any StagedVolume {
        try requirePresent(source)
        try requirePresent(.container(container))
        return try await againWithRoom { try await makeStaged(source, for: container) }
    }

    private func makeStaged(_ source: Volume, for container: String) async throws -> any StagedVolume {
        let place = try StagingPlace(pool: poolPath, container: container)
        do {
            try await blocking("copy \(source) for container \(container)") {
                _ = try TreeCopier.copy(directory(of: source), to: place.volume)
            }
        } catch {
            await place.discard()
            throw error
        }
        return DirStagedVolume(
            container: container, live: directory(of: .container(container)), place: place, reaper: reaper)
    }

    /// Finds what a former process has staged.
    public func staged(for container: String) async -> (any StagedVolume)? {
        guard let place = StagingPlace.find(pool: poolPath, container: container),
            Files.isDirectory(place.volume)
        else { return nil }
        return DirStagedVolume(
            container: container, live: directory(of: .container(container)), place: place, reaper: reaper)
    }

    /// Renames a volume; a container with its snapshots, both or neither.
    public func rename(_ volume: Volume, to newName: String) async throws {
        let renamed: Volume =
            switch volume {
            case .image: .image(fingerprint: newName)
            case .container: .container(newName)
            case .custom: .custom(newName)
            case .snapshot(let container, _): .snapshot(container: container, name: newName)
            }
        try renamed.validate()
        try requirePresent(volume)
        try requireAbsent(renamed)
        try await blocking("rename \(volume) to \(newName)") {
            if case .container(let name) = volume {
                let from = "\(poolPath)/snapshots/\(name)"
                let to = "\(poolPath)/snapshots/\(newName)"
                // An empty directory may be left of a container of that name.
                rmdir(to)
                let hasSnapshots = Files.isDirectory(from)
                if hasSnapshots { try checked(cstorage_rename_new(from, to), "rename", from) }
                do {
                    try checked(
                        cstorage_rename_new(directory(of: volume), directory(of: renamed)), "rename",
                        directory(of: volume))
                } catch {
                    if hasSnapshots { _ = cstorage_rename_new(to, from) }
                    throw error
                }
            } else {
                try checked(
                    cstorage_rename_new(directory(of: volume), directory(of: renamed)), "rename",
                    directory(of: volume))
            }
        }
    }

    /// Takes a volume out of the pool, and has its files removed.
    public func delete(_ volume: Volume) async throws {
        try requirePresent(volume)
        let place = try StagingPlace(pool: poolPath)
        do {
            try await blocking("delete \(volume)") {
                try requireUnmounted(volume)
                try checked(
                    cstorage_rename_new(directory(of: volume), place.directory + "/deleted"), "rename",
                    directory(of: volume))
                if case .container(let name) = volume {
                    let snapshots = "\(poolPath)/snapshots/\(name)"
                    if rmdir(snapshots) != 0 && errno != ENOENT {
                        try checked(
                            cstorage_rename_new(snapshots, place.directory + "/snapshots"), "rename",
                            snapshots)
                    }
                }
                if case .snapshot(let container, _) = volume { rmdir("\(poolPath)/snapshots/\(container)") }
            }
        } catch {
            await place.discard()
            throw error
        }
        // The volume is gone for its users; what cannot be removed now is removed by `removeLeftovers`.
        reaper.remove(place)
    }

    /// Waits for the removal of deleted volumes.
    public func settle() async { await reaper.settle() }

    /// Adds up the blocks of a volume.
    public func usage(of volume: Volume) async throws -> UInt64 {
        try requirePresent(volume)
        return try await blocking("measure \(volume)") { try TreeUsage.measure(directory(of: volume)) }
    }

    /// Nothing counts for a directory.
    public func countedUsage(of volume: Volume) -> UInt64? { nil }

    /// Asks the file system.
    public func space() throws -> PoolSpace {
        var figures = statvfs()
        do {
            try posix(statvfs(poolPath, &figures), "statvfs", poolPath)
        } catch {
            throw StorageError.wrapping(error, doing: "cannot measure storage pool \(poolPath)", in: poolPath)
        }
        let block = UInt64(figures.f_frsize)
        return PoolSpace(
            total: UInt64(figures.f_blocks) * block, available: UInt64(figures.f_bavail) * block,
            inodes: UInt64(figures.f_files), availableInodes: UInt64(figures.f_favail))
    }

    /// Empties the staging room; not that of a shared pool, where other hosts may be at work.
    public func removeLeftovers() async throws -> [String] {
        if SharedPool.isMarked(poolPath) { return [] }
        return try await blocking("clean up storage pool \(poolPath)") {
            let staging = "\(poolPath)/staging"
            guard Files.isDirectory(staging) else { return [] }
            let names = try Files.names(in: staging).sorted()
            for name in names { try StagingPlace.remove("\(staging)/\(name)") }
            return names.map { "\(staging)/\($0)" }
        }
    }
}
