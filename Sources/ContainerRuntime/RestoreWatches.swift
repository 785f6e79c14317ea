import CRIU
import Glibc
import LinuxSystem

/// Lets restored programs watch the files of the volume they are restored into. CRIU would open watched files by the
/// handles it saved, and those mean files of the volume that was dumped.
struct RestoreWatches {
    let record: CheckpointRecord
    let images: String
    let rootfs: String
    /// Where images with other handles are put, if they are needed.
    let place: String

    /// The images to restore from: as they are, or linked to another directory with the handles put right.
    func prepare() throws -> String {
        guard let watches = record.watches, !watches.isEmpty else { return images }
        let paths = Dictionary(watches.map { ($0.inode, $0.path) }, uniquingKeysWith: { first, _ in first })
        let root = try FileDescriptor.open(rootfs, O_RDONLY | O_DIRECTORY)
        var present: [UInt64: (inode: UInt64, handle: CRIUWatches.Handle)] = [:]
        for (inode, path) in paths { present[inode] = try find(path, below: root) }
        let image = try CRIUImage(path: images + "/files.img", magic: .files)
        let changed = try CRIUWatches.replace(image) { file in
            guard let now = present[file.inode], now.inode != file.inode || now.handle != file.handle else {
                return nil
            }
            return now
        }
        guard let changed else { return images }
        try link(except: "files.img")
        try Files.write(place + "/files.img", changed.bytes, mode: 0o644)
        return place
    }

    private func find(_ path: String, below root: FileDescriptor) throws -> (UInt64, CRIUWatches.Handle) {
        do {
            let relative = path == "/" ? "." : String(path.drop { $0 == "/" })
            let file = try root.open(
                at: relative, OpenFlags.path | O_NOFOLLOW,
                resolve: [.beneath, .noSymlinks, .noMagicLinks, .noCrossDevice])
            let handle = try FileHandle(of: file)
            return (
                UInt64(try file.status().st_ino),
                CRIUWatches.Handle(type: UInt32(bitPattern: handle.type), bytes: handle.bytes)
            )
        } catch {
            throw RuntimeError(
                .restoreFailed,
                "a program of \(record.container) watches \(path), which is not there: \(error)")
        }
    }

    /// Shows the other images in the new directory. They are only read, from where they are.
    private func link(except own: String) throws {
        // CRIU reads some of them as the container's users.
        if mkdir(place, 0o755) != 0, errno != EEXIST { throw SystemError("mkdir", "make \(place)") }
        try check("chmod", "open \(place)") { chmod(place, 0o755) }
        for name in try Files.names(in: images) where name != own {
            let (from, to) = ("\(images)/\(name)", "\(place)/\(name)")
            if Glibc.link(from, to) == 0 { continue }
            // Another file system, or one without links.
            try Files.write(to, try Files.bytes(from, limit: .max), mode: 0o644)
        }
    }

    /// Removes what `prepare` made.
    func clear() { try? removeTree(place) }
}
