import CRIU
import FoundationEssentials
import Glibc
import LinuxSystem

/// What a restore that was killed leaves in a container's files.
public enum RestoreLeftovers {
    /// Removes the ghost files a killed CRIU has left below `rootfs` when it restored from `checkpoint`; how many there
    /// were. No process of the container may be there. A file counts as CRIU's only if it has the very name that a
    /// restore of this checkpoint gives, and has come after the checkpoint.
    @discardableResult
    public static func remove(checkpoint: String, rootfs: String) throws -> Int {
        let images = checkpoint + "/images"
        guard Files.exists(images + "/remap-fpath.img"), let taken = takenAt(checkpoint) else { return 0 }
        let ghosts = try CRIUGhosts.ghosts(
            remaps: CRIUImage(path: images + "/remap-fpath.img", magic: .remaps),
            files: CRIUImage(path: images + "/files.img", magic: .files),
            mounts: Files.names(in: images).filter { $0.hasPrefix("mountpoints-") }.sorted().map {
                try CRIUImage(path: "\(images)/\($0)", magic: .mounts)
            })
        guard !ghosts.isEmpty else { return 0 }
        let root = try FileDescriptor.open(rootfs, O_RDONLY | O_DIRECTORY)
        return try ghosts.reduce(0) { try $0 + (remove($1, below: root, since: taken) ? 1 : 0) }
    }

    private static func remove(
        _ ghost: CRIUGhosts.Ghost, below root: FileDescriptor, since taken: Double
    ) throws -> Bool {
        var parts = ghost.path.split(separator: "/")
        guard let name = parts.popLast().map(String.init),
            let former = ghost.formerPath.split(separator: "/").last.map(String.init)
        else { return false }
        // CRIU knows resolved paths only: a symlink here is not what was there.
        let above = parts.isEmpty ? "." : parts.joined(separator: "/")
        guard
            let parent = try? root.open(
                at: above, O_RDONLY | O_DIRECTORY,
                resolve: [.inRoot, .noSymlinks, .noMagicLinks, .noCrossDevice])
        else { return false }
        var found = stat()
        guard fstatat(parent.rawValue, name, &found, AT_SYMLINK_NOFOLLOW) == 0,
            found.st_mode & S_IFMT != S_IFDIR,
            Double(found.st_ctim.tv_sec) + Double(found.st_ctim.tv_nsec) / 1e9 > taken
        else { return false }
        var linked = stat()
        if fstatat(parent.rawValue, former, &linked, AT_SYMLINK_NOFOLLOW) == 0,
            linked.st_ino == found.st_ino, linked.st_dev == found.st_dev
        {
            try check("unlinkat", "remove what CRIU left at \(ghost.formerPath)") {
                unlinkat(parent.rawValue, former, 0)
            }
        }
        try check("unlinkat", "remove what CRIU left at \(ghost.path)") { unlinkat(parent.rawValue, name, 0) }
        return true
    }

    private static func takenAt(_ checkpoint: String) -> Double? {
        guard let bytes = try? Files.bytes(checkpoint + "/checkpoint.json", limit: 64 << 20) else {
            return nil
        }
        return try? JSONDecoder().decode(CheckpointRecord.self, from: Data(bytes)).takenAt
    }
}
