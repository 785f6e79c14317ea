import CStorage
import Glibc
import LinuxSystem

/// btrfs subvolumes, those in them included: a container can make some, and a snapshot of the one around leaves them
/// out.
enum Subvolume {
    /// How deep subvolumes in subvolumes are followed: each level keeps a descriptor open.
    private static let deepest = 100
    /// Paths in a container's files are the container's to change: no symlink is followed, no mount crossed.
    private static let beneath: UInt64 = 0x01 | 0x02 | 0x04 | 0x08

    /// Whether a path is a subvolume.
    static func isOne(_ path: String) -> Bool {
        guard let directory = try? open(path) else { return false }
        return cstorage_is_subvolume(directory.rawValue) == 1
    }

    /// Whether a directory lies on btrfs.
    static func isOnBtrfs(_ path: String) throws -> Bool {
        let directory = try open(path)
        return cstorage_is_btrfs(directory.rawValue) == 1
    }

    /// Makes an empty one.
    static func create(_ path: String, mode: mode_t) throws {
        let (parent, name) = try parent(of: path)
        try checked(cstorage_subvolume_create(parent.rawValue, name), "make subvolume", path)
        try posix(chmod(path, mode), "change mode of", path)
    }

    /// Makes a writable snapshot of one, with snapshots of those in it at their places.
    static func snapshot(_ source: String, as path: String) throws {
        let (parent, name) = try parent(of: path)
        try snapshot(open(source), parent, name, path, depth: 0)
    }

    private static func snapshot(
        _ source: FileDescriptor, _ parent: FileDescriptor, _ name: String, _ path: String, depth: Int
    ) throws {
        guard depth < deepest else { throw FileFailure("snapshot subvolume", path, ELOOP) }
        try checked(
            cstorage_subvolume_snapshot(source.rawValue, parent.rawValue, name, 0), "snapshot subvolume", path
        )
        let places = try children(of: source, path)
        guard !places.isEmpty else { return }
        let copy = try open(name, below: parent, path)
        for place in places {
            // Whoever runs in there may have moved or removed it meanwhile.
            guard let below = try? open(place, below: source, path),
                cstorage_is_subvolume(below.rawValue) == 1
            else { continue }
            let (directory, last) = split(place)
            let around = directory.isEmpty ? copy : try open(directory, below: copy, path)
            // An empty directory stands for it in the copy.
            guard unlinkat(around.rawValue, last, AT_REMOVEDIR) == 0 else { continue }
            try snapshot(below, around, last, path + "/" + place, depth: depth + 1)
        }
    }

    /// Deletes one and those in it.
    static func destroy(_ path: String) throws {
        let (parent, name) = try parent(of: path)
        try destroy(parent, name, path, depth: 0)
    }

    private static func destroy(_ parent: FileDescriptor, _ name: String, _ path: String, depth: Int) throws {
        var failed = cstorage_subvolume_destroy(parent.rawValue, name)
        if failed == -ENOTEMPTY, depth < deepest {
            let subvolume = try open(name, below: parent, path)
            for place in try children(of: subvolume, path) {
                let (directory, last) = split(place)
                let around = directory.isEmpty ? subvolume : try open(directory, below: subvolume, path)
                try destroy(around, last, path + "/" + place, depth: depth + 1)
            }
            failed = cstorage_subvolume_destroy(parent.rawValue, name)
        }
        try checked(failed, "delete subvolume", path)
    }

    /// Deletes the subvolumes in a directory and in its plain directories. What cannot be deleted so is left to be
    /// removed file by file.
    static func destroyAll(in directory: String, depth: Int = 0) {
        guard let here = try? open(directory), cstorage_is_btrfs(here.rawValue) == 1,
            let names = try? Files.names(in: directory)
        else { return }
        for name in names {
            let path = "\(directory)/\(name)"
            if isOne(path) {
                try? destroy(path)
            } else if depth < 2 {
                destroyAll(in: path, depth: depth + 1)
            }
        }
    }

    /// Whether there are others in one; a directory that is none has none.
    static func hasNested(_ path: String) throws -> Bool {
        let directory = try open(path)
        guard cstorage_is_subvolume(directory.rawValue) == 1 else { return false }
        return try !children(of: directory, path).isEmpty
    }

    /// Makes one read only, or writable.
    static func setReadOnly(_ path: String, _ readOnly: Bool) throws {
        let subvolume = try open(path)
        try checked(
            cstorage_subvolume_set_read_only(subvolume.rawValue, readOnly ? 1 : 0), "change subvolume", path)
    }

    /// The number quotas know it by.
    static func id(_ path: String) throws -> UInt64 {
        let subvolume = try open(path)
        var id: UInt64 = 0
        try checked(cstorage_subvolume_id(subvolume.rawValue, &id), "find subvolume", path)
        return id
    }

    /// Opens a directory, not following a symlink.
    static func open(_ path: String) throws -> FileDescriptor {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        if descriptor < 0 { throw FileFailure("open", path, errno) }
        return FileDescriptor(owning: descriptor)
    }

    private static func open(_ path: String, below parent: FileDescriptor, _ context: String) throws
        -> FileDescriptor
    {
        let descriptor = try checked(
            cstorage_openat2(
                parent.rawValue, path, UInt64(O_RDONLY | O_DIRECTORY | O_NOFOLLOW), 0, beneath),
            "open", context + "/" + path)
        return FileDescriptor(owning: descriptor)
    }

    private static func parent(of path: String) throws -> (FileDescriptor, String) {
        let (directory, name) = split(path)
        return (try open(directory.isEmpty ? "." : directory), name)
    }

    private static func split(_ path: String) -> (directory: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return ("", path) }
        return (String(path[..<slash]), String(path[path.index(after: slash)...]))
    }

    /// The places of the subvolumes directly in one, below it.
    private static func children(of subvolume: FileDescriptor, _ path: String) throws -> [String] {
        var result: [String] = []
        var last: UInt64 = 0
        var room = [CChar](repeating: 0, count: 8192)
        while true {
            let found = room.withUnsafeMutableBufferPointer {
                cstorage_subvolume_child(subvolume.rawValue, &last, $0.baseAddress, $0.count)
            }
            if found == -ENOENT { continue }
            if try checked(found, "list the subvolumes of", path) == 0 { return result }
            result.append(
                String(decoding: room.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
    }
}
