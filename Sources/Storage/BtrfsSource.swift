/// Where a btrfs pool has its file system.
public enum BtrfsSource: Sendable, Hashable {
    /// A file of the pool's own, which is mounted through a loop device and grows as it is written to.
    /// `size` is what it can grow to.
    case file(path: String, size: UInt64)
    /// A block device, mounted for the pool.
    case device(path: String)
    /// A directory, or subvolume, of a btrfs file system that is mounted already.
    case directory

    /// Whether the pool mounts something of its own.
    var isMounted: Bool { self != .directory }
}
