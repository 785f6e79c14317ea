import CLinux
import Glibc

/// Flags of mount(2).
public struct MountFlags: OptionSet, Sendable {
    /// The kernel's MS_… bits.
    public let rawValue: UInt
    /// From the kernel's bits.
    public init(rawValue: UInt) { self.rawValue = rawValue }
    /// Read only.
    public static let readOnly = MountFlags(rawValue: 1)
    /// Set-user-id bits mean nothing.
    public static let noSUID = MountFlags(rawValue: 2)
    /// Device nodes cannot be opened.
    public static let noDevices = MountFlags(rawValue: 4)
    /// Nothing can be executed.
    public static let noExec = MountFlags(rawValue: 8)
    /// Change the options of a mount.
    public static let remount = MountFlags(rawValue: 32)
    /// Show a tree at another place.
    public static let bind = MountFlags(rawValue: 4096)
    /// Move a mount.
    public static let move = MountFlags(rawValue: 8192)
    /// With all below.
    public static let recursive = MountFlags(rawValue: 16384)
    /// No propagation.
    public static let privatePropagation = MountFlags(rawValue: 1 << 18)
    /// Propagation from the host only.
    public static let slavePropagation = MountFlags(rawValue: 1 << 19)
    /// Access times only when older than the change.
    public static let relativeAccessTimes = MountFlags(rawValue: 1 << 21)
}

/// Mounting and unmounting.
public enum Mount {
    /// mount(2).
    public static func mount(
        _ source: String?, on target: String, type: String? = nil, flags: MountFlags = [],
        options: String? = nil
    ) throws {
        try check("mount", "mount \(source ?? type ?? "") on \(target)") {
            Glibc.mount(source, target, type, flags.rawValue, options)
        }
    }

    /// Shows a file or tree at a second place.
    public static func bind(_ source: String, on target: String, recursive: Bool = false) throws {
        try mount(source, on: target, flags: recursive ? [.bind, .recursive] : .bind)
    }

    /// Changes the propagation of a mount, of all below it too if `recursive`.
    public static func setPropagation(_ target: String, _ kind: MountFlags, recursive: Bool = true) throws {
        try check("mount", "change the propagation of \(target)") {
            Glibc.mount(
                nil, target, nil, kind.rawValue | (recursive ? MountFlags.recursive.rawValue : 0), nil)
        }
    }

    /// umount2(2). With `lazy` it disappears now and goes when nobody uses it any more. Never follows a
    /// symlink.
    public static func unmount(_ target: String, lazy: Bool = false) throws {
        try check("umount2", "unmount \(target)") {
            apus_umount(target, lazy ? 1 : 0)
        }
    }

    /// Shows `source` at `target` with the ids of a user namespace: files of uid 0 belong to the container's
    /// root. Without a map it is a plain bind mount. The new mount is private and not recursive.
    public static func bindMapped(_ source: String, on target: String, map: IDMap?) throws {
        let tree = FileDescriptor(
            owning: try check("open_tree", "open the tree \(source)") {
                apus_open_tree(AT_FDCWD, source, APUS_OPEN_TREE_CLONE | APUS_OPEN_TREE_CLOEXEC)
            })
        let namespace = try map.map { try Namespaces.makeUser($0) }
        try check("mount_setattr", "map the ids of \(source) (its file system may not allow it)") {
            apus_mount_setattr(
                tree.rawValue, "", APUS_AT_EMPTY_PATH, namespace == nil ? 0 : UInt64(APUS_MOUNT_ATTR_IDMAP),
                0,
                UInt64(MountFlags.privatePropagation.rawValue), namespace?.rawValue ?? -1)
        }
        try check("move_mount", "mount \(source) on \(target)") {
            apus_move_mount(tree.rawValue, "", AT_FDCWD, target)
        }
    }

    /// Unmounts everything mounted at or below a directory, last mounted first, and lazily where it is busy.
    /// Throws the first failure after having tried all.
    public static func unmountAll(below directory: String) throws {
        var failure: (any Error)?
        for entry in try MountInfo.current().reversed()
        where entry.mountPoint == directory || entry.mountPoint.hasPrefix(directory + "/") {
            do {
                try unmount(entry.mountPoint)
            } catch {
                do {
                    try unmount(entry.mountPoint, lazy: true)
                } catch {
                    // Somebody else was faster: it is no mount point any more.
                    let isGone = [EINVAL, ENOENT].contains((error as? SystemError)?.errno)
                    if !isGone { failure = failure ?? error }
                }
            }
        }
        if let failure { throw failure }
    }
}
