import Glibc
import LinuxSystem

/// What the operations of a `dir` pool are made of.
extension DirDriver {
    /// Runs `body`; if the pool is full while files of deleted volumes are still being removed, again when
    /// they are gone.
    func againWithRoom<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as StorageError where error.code == .noSpace && reaper.isBusy {
            await reaper.settle()
            return try await body()
        }
    }

    /// Refuses a volume in which something is mounted: it would stay, and what is in it be hidden.
    func requireUnmounted(_ volume: Volume) throws {
        let path = directory(of: volume)
        for mount in try MountInfo.current() where mount.mountPoint.hasPrefix(path + "/") {
            throw StorageError(
                .system,
                "cannot delete \(volume): something is mounted at \(mount.mountPoint). Unmount it first",
                errno: EBUSY)
        }
    }

    /// Runs blocking work of this pool, and says what was being done when it fails.
    func blocking<Result: Sendable>(
        _ action: String, _ body: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        do {
            return try await Blocking.run(body)
        } catch {
            throw StorageError.wrapping(error, doing: "cannot \(action)", in: poolPath)
        }
    }

    func requirePresent(_ volume: Volume) throws {
        try volume.validate()
        if !exists(volume) {
            throw StorageError(.notFound, "\(volume) is not in storage pool \(poolPath)")
        }
    }

    func requireAbsent(_ volume: Volume) throws {
        if Files.exists(directory(of: volume)) {
            throw StorageError(.alreadyExists, "\(volume) exists already in storage pool \(poolPath)")
        }
    }

    /// Makes a directory, and sets its mode whatever the umask. One that exists keeps its own.
    static func makeDirectory(_ path: String, mode: mode_t) throws {
        if mkdir(path, mode) != 0 {
            if errno == EEXIST { return }
            throw FileFailure("make directory", path, errno)
        }
        try posix(chmod(path, mode), "change mode of", path)
    }
}
