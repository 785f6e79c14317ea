import CStorage
import Glibc
import LinuxSystem

/// Making, mounting and removing the file system of a btrfs pool.
extension BtrfsDriver {
    /// Makes the file system where the pool brings its own, mounts it, and makes the pool's directories.
    public func createPool() async throws {
        try await withRollback { rollback in
            switch source {
            case .file(let path, let size):
                let file = LoopFile(path: path)
                try await plain.blocking("create storage pool \(poolPath)") {
                    try file.create(size: size)
                }
                rollback.add { unlink(path) }
                // Metadata once: the disk below has its own ways to keep it.
                try await format(path, options: ["--metadata", "single"])
            case .device(let path):
                try await format(path, options: [])
            case .directory:
                try await createDirectory()
            }
            if source.isMounted {
                rollback.add {
                    try deactivate()
                    rmdir(poolPath)
                }
                try await plain.blocking("create storage pool \(poolPath)") {
                    try mountSource()
                    try posix(chmod(poolPath, 0o711), "change mode of", poolPath)
                }
            }
            try await plain.createPool()
        }
    }

    private func format(_ path: String, options: [String]) async throws {
        do {
            try await HelperProgram.succeed(["mkfs.btrfs", "--quiet"] + options + ["--", path])
        } catch let error as HelperFailure {
            throw StorageError(.system, "cannot make a btrfs file system on \(path): \(error)")
        } catch {
            throw StorageError(
                .unsupported,
                "cannot make a btrfs file system on \(path): \(error). Install btrfs-progs, or use the driver dir"
            )
        }
    }

    /// A directory that is there has to be empty; one that is not is made, as a subvolume.
    private func createDirectory() async throws {
        try await plain.blocking("create storage pool \(poolPath)") {
            if Files.exists(poolPath) {
                guard try Subvolume.isOnBtrfs(poolPath) else { throw notBtrfs(poolPath) }
                guard try Files.names(in: poolPath).isEmpty else {
                    throw StorageError(
                        .alreadyExists,
                        "\(poolPath) is not empty. Give an empty directory, or a path that is not there yet")
                }
            } else {
                let parent = poolPath.split(separator: "/").dropLast().joined(separator: "/")
                guard try Subvolume.isOnBtrfs("/" + parent) else { throw notBtrfs("/" + parent) }
                try Subvolume.create(poolPath, mode: 0o711)
            }
        }
    }

    private func notBtrfs(_ path: String) -> StorageError {
        StorageError(
            .unsupported,
            "\(path) does not lie on btrfs. Leave the source out for a file of the pool's own, or use the driver dir"
        )
    }

    /// Mounts the pool's file system if it is not mounted, and makes directories that are missing.
    public func activate() throws {
        do {
            if source.isMounted { try mountSource() }
        } catch let error as FileFailure {
            throw StorageError(.unavailable, "\(error). Bring it back", errno: error.errno)
        }
        try plain.activate()
        guard try Subvolume.isOnBtrfs(poolPath) else {
            throw StorageError(
                .unavailable, "\(poolPath) does not lie on btrfs any more. Bring its disk back")
        }
    }

    private var isMounted: Bool {
        get throws { try MountInfo.current().contains { $0.mountPoint == poolPath && $0.type == "btrfs" } }
    }

    private func mountSource() throws {
        guard try !isMounted else { return }
        switch source {
        case .file(let path, _): try LoopFile(path: path).withDevice { try mount($0) }
        case .device(let path):
            guard Files.exists(path) else { throw FileFailure("open", path, ENOENT) }
            try mount(path)
        case .directory: break
        }
    }

    private func mount(_ device: String) throws {
        try Files.makeDirectories(poolPath, mode: 0o711)
        do {
            try Mount.mount(device, on: poolPath, type: "btrfs", options: mountOptions)
            // What is mounted in there later is nobody else's business.
            try Mount.setPropagation(poolPath, .privatePropagation, recursive: false)
        } catch let error as SystemError {
            if error.errno == ENODEV {
                throw StorageError(
                    .unsupported, "this kernel has no btrfs. Use the driver dir", errno: ENODEV)
            }
            throw FileFailure("mount \(device) on", poolPath, error.errno)
        }
    }

    /// Unmounts the pool's file system; its loop device goes with it.
    public func deactivate() throws {
        guard source.isMounted, try isMounted else { return }
        try Mount.unmount(poolPath)
    }

    /// Lets the pool's file grow to a larger size.
    public func resize(to size: UInt64) async throws {
        guard case .file(let path, _) = source else {
            throw StorageError(
                .unsupported, "only a pool with a file of its own has a size; \(poolPath) has another source")
        }
        try await plain.blocking("enlarge storage pool \(poolPath)") {
            let file = LoopFile(path: path)
            let present = try file.size()
            guard size >= present else {
                throw StorageError(
                    .unsupported,
                    "storage pool \(poolPath) cannot be made smaller than it is (\(present) bytes)")
            }
            try file.grow(to: size)
            let directory = try Subvolume.open(poolPath)
            try checked(cstorage_btrfs_grow(directory.rawValue), "enlarge", poolPath)
        }
    }

    /// Removes the pool with everything in it.
    public func deletePool() async throws {
        await plain.settle()
        switch source {
        case .file(let path, _):
            try await plain.blocking("delete storage pool \(poolPath)") {
                try deactivate()
                if unlink(path) != 0 && errno != ENOENT { throw FileFailure("remove", path, errno) }
                if rmdir(poolPath) != 0 && errno != ENOENT { throw FileFailure("remove", poolPath, errno) }
            }
        case .device:
            try await plain.blocking("delete storage pool \(poolPath)") {
                try plain.removeRooms()
                try deactivate()
                if rmdir(poolPath) != 0 && errno != ENOENT { throw FileFailure("remove", poolPath, errno) }
            }
        case .directory:
            try await plain.blocking("delete storage pool \(poolPath)") {
                try plain.removeRooms()
                if Subvolume.isOne(poolPath) { try? Subvolume.destroy(poolPath) } else { rmdir(poolPath) }
            }
        }
    }
}
