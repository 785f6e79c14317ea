import Glibc
import LinuxSystem

/// Where everything lies below APUS_DIR.
public struct DataDirectory: Sendable {
    /// APUS_DIR itself.
    public let path: String

    /// The layout below a directory.
    public init(path: String) {
        var trimmed = path
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
        self.path = trimmed
    }

    /// The socket of the REST API.
    public var socket: String { path + "/unix.socket" }
    /// Held by the daemon while it runs.
    public var lock: String { path + "/lock" }
    /// What the daemon knows.
    public var database: String { path + "/apus.db" }
    /// The daemon's own id, part of the names of its cgroups.
    public var daemonID: String { path + "/daemon-id" }
    /// All storage pools.
    public var pools: String { path + "/storage-pools" }
    /// Files of storage pools that have a file system of their own.
    public var disks: String { path + "/disks" }
    /// Images' tarballs.
    public var images: String { path + "/images" }
    /// Where images are built and uploads land before they are checked.
    public var work: String { path + "/work" }
    /// Directories of running containers.
    public var runtime: String { path + "/runtime" }
    /// Saved running states.
    public var checkpoints: String { path + "/checkpoints" }
    /// Backups of containers that wait to be fetched.
    public var backups: String { path + "/backups" }
    /// Containers' logs.
    public var logs: String { path + "/logs" }

    /// All networks' DHCP servers.
    public var networks: String { path + "/networks" }
    /// The DHCP server of a network.
    public func network(_ name: String) -> String { networks + "/" + name }
    /// A storage pool.
    public func pool(_ name: String) -> String { pools + "/" + name }
    /// The file of a storage pool that has a file system of its own.
    public func disk(_ pool: String) -> String { disks + "/" + pool + ".img" }
    /// All runtime directories of a container.
    public func runtime(_ container: String) -> String { runtime + "/" + container }
    /// The runtime directory of one generation of a container.
    public func runtime(_ container: String, generation: Int64) -> String {
        runtime + "/" + container + "/" + String(generation)
    }
    /// All saved running states of a container.
    public func checkpoints(_ container: String) -> String { checkpoints + "/" + container }
    /// The state that a stopped container goes on from.
    public func stoppedState(_ container: String) -> String { checkpoints(container) + "/state" }
    /// All saved states of a container's snapshots.
    public func snapshotStates(_ container: String) -> String { checkpoints(container) + "/snapshots" }
    /// Makes the folder of a container's saved states of snapshots.
    func makeSnapshotStates(_ container: String) throws {
        for directory in [checkpoints(container), snapshotStates(container)] {
            try Files.makeDirectories(directory, mode: 0o700)
        }
    }
    /// The saved state of a snapshot.
    public func snapshotState(_ container: String, _ snapshot: String) -> String {
        snapshotStates(container) + "/" + snapshot
    }
    /// All backups of a container.
    public func backups(_ container: String) -> String { backups + "/" + container }
    /// A container's logs.
    public func logs(_ container: String) -> String { logs + "/" + container }

    /// Makes the directories that are missing.
    public func create() throws {
        try Files.makeDirectories(path, mode: 0o711)
        try check("chmod", "set the mode of \(path)") { chmod(path, 0o711) }
        for (directory, mode) in [
            (pools, 0o711), (images, 0o700), (work, 0o711), (runtime, 0o711), (checkpoints, 0o700),
            (backups, 0o700), (logs, 0o700), (disks, 0o700), (networks, 0o711),
        ] as [(String, mode_t)] {
            try Files.makeDirectories(directory, mode: mode)
            try check("chmod", "set the mode of \(directory)") { chmod(directory, mode) }
        }
    }
}
