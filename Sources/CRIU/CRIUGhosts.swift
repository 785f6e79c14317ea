internal import FoundationEssentials
internal import SwiftProtobuf

/// Where CRIU puts files whose names are gone, for the time of a restore: beside the place they had. A CRIU that is
/// killed leaves them there, and the next one fails on them ("Can't create ghost regfile: File exists").
public enum CRIUGhosts {
    /// Such a file, by paths below the root of the tasks' file system.
    public struct Ghost: Sendable, Hashable {
        /// The name CRIU gives it.
        public var path: String
        /// The name it once had, which CRIU gives it back for an instant.
        public var formerPath: String

        /// Names a ghost.
        public init(path: String, formerPath: String) {
            self.path = path
            self.formerPath = formerPath
        }
    }

    /// The ghosts that a restore from these images makes in the file system the tasks have their root on. Those on
    /// other file systems go with their mounts.
    public static func ghosts(
        remaps: CRIUImage, files: CRIUImage, mounts: [CRIUImage]
    ) throws(CRIUError) -> Set<Ghost> {
        var ids: [UInt32: UInt32] = [:]
        for entry in remaps.entries {
            let remap: criu_remap = try remaps.decode(entry)
            if remap.remapType == CRIURemaps.ghost { ids[remap.origID] = remap.remapID }
        }
        guard !ids.isEmpty else { return [] }
        let places = try Places(mounts)
        var result: Set<Ghost> = []
        for entry in files.entries {
            let file: criu_file = try files.decode(entry)
            guard file.hasReg, let id = ids[file.reg.id],
                let path = places.path(of: file.reg.name, on: file.reg.mntID)
            else { continue }
            result.insert(Ghost(path: "\(path).cr.\(String(id, radix: 16)).ghost", formerPath: path))
        }
        return result
    }

    /// The mounts of the tasks.
    private struct Places {
        private var mounts: [UInt32: criu_mount] = [:]
        private var root: criu_mount?

        init(_ images: [CRIUImage]) throws(CRIUError) {
            for image in images {
                for entry in image.entries {
                    let mount: criu_mount = try image.decode(entry)
                    mounts[mount.mntID] = mount
                    if Self.parts(mount.mountpoint)?.isEmpty == true, root == nil { root = mount }
                }
            }
        }

        /// Where a file lies below the root, if it is on the same file system, and its name is text.
        func path(of name: Data, on id: Int32) -> String? {
            guard let root, id >= 0, let mount = mounts[UInt32(id)], mount.rootDev == root.rootDev,
                let name = Self.parts(name), let place = Self.parts(mount.mountpoint),
                let part = Self.parts(mount.root), let above = Self.parts(root.root)
            else { return nil }
            let whole = part + name.dropFirst(place.count)
            guard name.starts(with: place), whole.starts(with: above), whole.count > above.count,
                !whole.contains("..")
            else { return nil }
            return whole.dropFirst(above.count).joined(separator: "/")
        }

        /// `./a/b`, `/a/b` and `a/b` are the same to CRIU.
        private static func parts(_ path: Data) -> [Substring]? {
            String(validating: path, as: UTF8.self)?.split(separator: "/").filter { $0 != "." }
        }
    }
}
