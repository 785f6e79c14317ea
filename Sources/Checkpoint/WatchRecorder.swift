import CRIU
import ContainerRuntime
import Glibc
import LinuxSystem

/// Finds the paths of watched files that CRIU has saved by their handles alone, so that a restore into another volume
/// finds the same files there. Runs while the tasks stand still.
struct WatchRecorder {
    let container: String
    let initPID: pid_t

    /// The watched files of the root file system.
    func record(_ image: CRIUImage) throws -> [CheckpointWatch] {
        let files = try CRIUWatches.unnamed(image)
        guard !files.isEmpty else { return [] }
        let mounts = try MountInfo.of(pid: initPID)
        guard let mount = mounts.last(where: { $0.mountPoint == "/" }) else { return [] }
        let device = mount.major << 20 | mount.minor
        let root = try FileDescriptor.open("/proc/\(initPID)/root", O_RDONLY | O_DIRECTORY)
        var paths: [UInt64: String] = [:]
        for file in files where file.device == device && paths[file.inode] == nil {
            guard let path = path(file, below: root) else {
                // One that a program has open besides is kept by CRIU together with its content.
                if isOpenWithoutName(file.inode) { continue }
                throw CheckpointError(
                    .notCheckpointable,
                    "cannot checkpoint \(container): a program watches a file that has been deleted; "
                        + "CRIU cannot save that watch. Restart the program")
            }
            paths[file.inode] = path
        }
        return paths.map { CheckpointWatch(inode: $0.key, path: $0.value) }.sorted { $0.path < $1.path }
    }

    /// Where a file is below the root: what the kernel says, if that is true, or what a search finds.
    private func path(_ file: CRIUWatches.File, below root: FileDescriptor) -> String? {
        let handle = FileHandle(type: Int32(bitPattern: file.handle.type), bytes: file.handle.bytes)
        if let opened = try? handle.open(on: root), let path = try? Files.readLink(opened.procPath),
            inode(path, below: root) == file.inode
        {
            return path
        }
        return ["/etc", "/"].lazy.compactMap { search(for: file.inode, in: $0, of: root) }.first
    }

    private func inode(_ path: String, below root: FileDescriptor) -> UInt64? {
        guard let file = try? open(path, below: root, OpenFlags.path | O_NOFOLLOW),
            let status = try? file.status()
        else { return nil }
        return UInt64(status.st_ino)
    }

    /// A name that leads to an inode. The names of many files are read for that, but nothing else of them.
    private func search(for inode: UInt64, in directory: String, of root: FileDescriptor) -> String? {
        guard let opened = try? open(directory, below: root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
            let stream = fdopendir(opened.release())
        else { return nil }
        defer { closedir(stream) }
        let base = directory == "/" ? "" : directory
        var below: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name == "." || name == ".." { continue }
            if UInt64(entry.pointee.d_ino) == inode, self.inode(base + "/" + name, below: root) == inode {
                return base + "/" + name
            }
            if entry.pointee.d_type == UInt8(DT_DIR) { below.append(base + "/" + name) }
        }
        return below.lazy.compactMap { search(for: inode, in: $0, of: root) }.first
    }

    private func open(_ path: String, below root: FileDescriptor, _ flags: Int32) throws -> FileDescriptor {
        let relative = path == "/" ? "." : String(path.drop { $0 == "/" })
        return try root.open(
            at: relative, flags, resolve: [.beneath, .noSymlinks, .noMagicLinks, .noCrossDevice])
    }

    private func isOpenWithoutName(_ inode: UInt64) -> Bool {
        Proc.tree(from: initPID).contains { pid in
            ((try? Proc.descriptors(pid)) ?? []).contains { entry in
                guard entry.target.hasSuffix(" (deleted)") else { return false }
                var status = stat()
                return stat("/proc/\(pid)/fd/\(entry.number)", &status) == 0
                    && UInt64(status.st_ino) == inode && status.st_nlink == 0
            }
        }
    }
}
