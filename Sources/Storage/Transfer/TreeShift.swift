import CStorage
import Glibc
package import LinuxSystem

/// Gives the files of a tree, shifted by a user namespace's map, the owners that the container knows them by.
package enum TreeShift {
    /// Shifts back owners, and the ids in ACLs and file capabilities. Ids that are not in the map stay.
    package static func unshift(_ path: String, by map: IDMap) throws {
        let root = try TreeCopier.open(path)
        defer { close(root) }
        let top = try SourceDirectory(root: root, FileStat.of(root, path))
        let shift = Shift(map)
        try shift.apply(to: FileName("."), top.stat, in: top)
        let queue = WorkQueue([top])
        try queue.run(context: { EntryBuffer() }) { buffer, directory in
            var found: [SourceDirectory] = []
            try forEachEntry(of: directory.descriptor, buffer: buffer.bytes, path: directory.path.text) {
                name, _ in
                guard let stat = try FileStat.find(directory.descriptor, name), stat.mount == top.stat.mount
                else {
                    return
                }
                if !stat.isDirectory && stat.nlink > 1 && !shift.isFirst(stat.ino) { return }
                let name = FileName(name)
                try shift.apply(to: name, stat, in: directory)
                if stat.isDirectory { found.append(try SourceDirectory(directory, name, stat)) }
            }
            queue.add(found)
        }
    }

    private final class Shift: @unchecked Sendable {
        private let map: IDMap
        private let lock = Lock()
        private var linked: Set<UInt64> = []

        init(_ map: IDMap) { self.map = map }

        func isFirst(_ inode: UInt64) -> Bool { lock.with { linked.insert(inode).inserted } }

        func apply(to name: FileName, _ stat: FileStat, in directory: SourceDirectory) throws {
            let (user, group) = (Self.inside(stat.uid, map.users), Self.inside(stat.gid, map.groups))
            try name.withPointer { pointer in
                let path = { directory.path.appending(pointer).text }
                let whole = ProcPath.bytes(directory.descriptor, pointer)
                // A change of owner takes them away.
                let capability = Self.attribute("security.capability", whole)
                if user != stat.uid || group != stat.gid {
                    try posix(
                        fchownat(directory.descriptor, pointer, user, group, AT_SYMLINK_NOFOLLOW),
                        "change owner of",
                        path())
                    if !stat.isSymlink {
                        try posix(
                            fchmodat(directory.descriptor, pointer, stat.permissions, 0), "change mode of",
                            path())
                    }
                }
                if stat.isSymlink { return }
                if let capability {
                    try set("security.capability", unshifted(capability: capability), whole, path())
                }
                for name in ["system.posix_acl_access", "system.posix_acl_default"] {
                    guard let list = Self.attribute(name, whole) else { continue }
                    let other = unshifted(list: list)
                    if other != list { try set(name, other, whole, path()) }
                }
            }
        }

        /// A capability with the id of its namespace's root; without one where that is the container's.
        private func unshifted(capability: [UInt8]) -> [UInt8] {
            guard capability.count == 24, capability[3] == 3 else { return capability }
            let root = Self.inside(Self.number(capability, 20), map.users)
            if root == 0 { return Array(capability[..<3]) + [2] + capability[4..<20] }
            return Array(capability[..<20]) + Self.bytes(root)
        }

        /// A list whose users and groups are the container's.
        private func unshifted(list: [UInt8]) -> [UInt8] {
            guard list.count >= 4, (list.count - 4) % 8 == 0 else { return list }
            var result = list
            for entry in stride(from: 4, to: list.count, by: 8) {
                let entries = list[entry] == 2 ? map.users : list[entry] == 8 ? map.groups : []
                let id = Self.inside(Self.number(list, entry + 4), entries)
                result.replaceSubrange((entry + 4)..<(entry + 8), with: Self.bytes(id))
            }
            return result
        }

        private func set(
            _ name: String, _ value: [UInt8], _ whole: [CChar], _ path: @autoclosure () -> String
        ) throws {
            try checked(
                cstorage_lsetxattr(whole, name, value, value.count), "set attribute \(name) of", path())
        }

        private static func attribute(_ name: String, _ whole: [CChar]) -> [UInt8]? {
            let size = cstorage_lgetxattr(whole, name, nil, 0)
            if size <= 0 { return nil }
            var value = [UInt8](repeating: 0, count: size)
            return cstorage_lgetxattr(whole, name, &value, size) == size ? value : nil
        }

        private static func inside(_ id: UInt32, _ entries: [IDMapEntry]) -> UInt32 {
            for entry in entries where id >= entry.outside && id - entry.outside < entry.count {
                return entry.inside + (id - entry.outside)
            }
            return id
        }

        private static func number(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << (8 * UInt32($1)) }
        }

        private static func bytes(_ number: UInt32) -> [UInt8] {
            (0..<4).map { UInt8(number >> (8 * $0) & 0xff) }
        }
    }
}
