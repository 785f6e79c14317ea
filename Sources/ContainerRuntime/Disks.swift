import CLinux
import Glibc
import LinuxSystem

/// A directory, or file, of the host that a container shows: a custom volume, or a path.
public struct DiskMount: Sendable, Hashable, Codable {
    /// The device's name.
    public var name: String
    /// What is shown: a path of the host.
    public var source: String
    /// Where it is shown inside.
    public var path: String
    /// Whether nothing in it can be changed from inside.
    public var readOnly: Bool

    /// A disk.
    public init(name: String, source: String, path: String, readOnly: Bool) {
        self.name = name
        self.source = source
        self.path = path
        self.readOnly = readOnly
    }
}

extension ContainerSpec {
    /// Where a disk is shown with mapped ids, on the host, while this generation lives. Start, restore and plugging in
    /// take it from there.
    public func diskMount(_ name: String) -> String { "\(runtimeDirectory)/disks/\(name)" }
}

/// Disks of containers on the host's side, and on the container's.
public enum Disks {
    /// Shows a disk on the host with the container's ids.
    public static func mount(_ disk: DiskMount, of spec: ContainerSpec) throws {
        let directory = spec.runtimeDirectory + "/disks"
        try Files.makeDirectories(directory, mode: 0o711)
        try check("chmod", "open the way to \(directory)") {
            chmod(directory, spec.isPrivileged ? 0o700 : 0o711)
        }
        let target = spec.diskMount(disk.name)
        try makeTarget(target, isDirectory: try isDirectory(disk.source))
        try Mount.bindMapped(disk.source, on: target, map: spec.idmap)
        guard disk.readOnly else { return }
        try check("mount_setattr", "make \(disk.source) read only") {
            apus_mount_setattr(AT_FDCWD, target, 0, UInt64(APUS_MOUNT_ATTR_RDONLY), 0, 0, -1)
        }
    }

    /// Takes a disk away from the host's side.
    public static func unmount(_ name: String, of spec: ContainerSpec) throws {
        let target = spec.diskMount(name)
        try Mount.unmountAll(below: target)
        try removeTree(target)
    }

    /// A disk that is open, to be shown in a root that cannot see the host.
    struct Open {
        let disk: DiskMount
        let tree: FileDescriptor
        let isDirectory: Bool
    }

    /// Opens a disk as it is shown on the host.
    static func open(_ disk: DiskMount, at path: String) throws -> Open {
        let tree = FileDescriptor(
            owning: try check("open_tree", "open the disk \(disk.name)") {
                apus_open_tree(AT_FDCWD, path, APUS_OPEN_TREE_CLONE | APUS_OPEN_TREE_CLOEXEC)
            })
        let isDirectory = try tree.status().st_mode & S_IFMT == S_IFDIR
        return Open(disk: disk, tree: tree, isDirectory: isDirectory)
    }

    /// Shows a disk in the container, from inside its root.
    static func attach(_ open: Open) throws {
        try makeTarget(open.disk.path, isDirectory: open.isDirectory)
        try place(open)
    }

    /// Lets nobody write to a disk that is open but not shown yet; for the one who opened it.
    static func protect(_ open: Open) throws {
        try check("mount_setattr", "make the disk \(open.disk.name) read only") {
            apus_mount_setattr(
                open.tree.rawValue, "", UInt32(APUS_AT_EMPTY_PATH), UInt64(APUS_MOUNT_ATTR_RDONLY), 0, 0, -1)
        }
    }

    /// Shows the disk from inside a root that has a place for it.
    static func place(_ open: Open) throws {
        let path = open.disk.path
        // Links in the container's files lead to its own files only; those of /proc lead anywhere.
        let root = try FileDescriptor.open("/", OpenFlags.path | O_DIRECTORY)
        let target = try root.open(
            at: String(path.drop { $0 == "/" }), OpenFlags.path, resolve: [.inRoot, .noMagicLinks])
        try check("move_mount", "mount the disk \(open.disk.name) on \(path)") {
            apus_move_mount(open.tree.rawValue, "", target.rawValue, "")
        }
    }

    /// Takes a disk out of the container, from inside its root.
    static func detach(_ path: String) throws {
        let parts = path.split(separator: "/")
        guard let name = parts.last.map(String.init) else { return }
        let root = try FileDescriptor.open("/", OpenFlags.path | O_DIRECTORY)
        let parent = try root.open(
            at: "./" + parts.dropLast().joined(separator: "/"), OpenFlags.path | O_DIRECTORY,
            resolve: [.inRoot, .noMagicLinks])
        try check("fchdir", "enter the directory of \(path)") { fchdir(parent.rawValue) }
        try Mount.unmount(name)
    }

    private static func makeTarget(_ path: String, isDirectory: Bool) throws {
        if Files.exists(path) { return }
        if isDirectory {
            try Files.makeDirectories(path)
        } else {
            let parent = path.split(separator: "/").dropLast().joined(separator: "/")
            try Files.makeDirectories("/" + parent)
            try Files.write(path, "", mode: 0o644)
        }
    }

    private static func isDirectory(_ path: String) throws -> Bool {
        let file = try FileDescriptor.open(path, OpenFlags.path)
        return try file.status().st_mode & S_IFMT == S_IFDIR
    }
}
