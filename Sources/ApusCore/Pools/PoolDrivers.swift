import ApusAPI
import Glibc
import LinuxSystem
import Storage

/// Turns a pool's configuration into its driver.
enum PoolDrivers {
    /// The drivers there are.
    static let names = ["btrfs", "dir"]

    /// Those that work on this machine.
    static var available: [String] { names.filter { $0 != "btrfs" || hasBtrfs } }

    /// Whether a pool can have a btrfs in a file of its own: by the kernel, and with the program that makes it.
    private static let hasBtrfs: Bool = {
        let loaded = (try? Files.text("/proc/filesystems"))?.contains("\tbtrfs\n") ?? false
        let modules = "/lib/modules/\(Machine.names.release)/modules.dep"
        guard loaded || (try? Files.text(modules))?.contains("/btrfs.ko") ?? false,
            Files.exists("/dev/loop-control")
        else { return false }
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/sbin:/usr/bin:/sbin:/bin"
        return path.split(separator: ":").contains { access("\($0)/mkfs.btrfs", X_OK) == 0 }
    }()

    /// A file of a pool's own is never smaller.
    static let smallestFile: Int64 = 256 << 20

    /// The driver of a pool.
    static func make(_ pool: StoragePool, in directory: DataDirectory) throws -> any StorageDriver {
        let source = pool.config["source"] ?? ""
        switch pool.driver {
        case "dir":
            return DirDriver(path: source.isEmpty ? directory.pool(pool.name) : source)
        case "btrfs":
            let options = pool.config["btrfs.mount_options"] ?? BtrfsDriver.defaultMountOptions
            let size = UInt64(max(0, pool.config["size"].flatMap(ConfigValues.bytes) ?? 0))
            if source == directory.disk(pool.name) {
                return BtrfsDriver(
                    path: directory.pool(pool.name), source: .file(path: source, size: size),
                    mountOptions: options)
            }
            if isBlockDevice(source) || source.hasPrefix("/dev/") {
                return BtrfsDriver(
                    path: directory.pool(pool.name), source: .device(path: source), mountOptions: options)
            }
            return BtrfsDriver(path: source, source: .directory)
        default:
            throw ServiceError.badRequest(
                "Unknown storage driver \"\(pool.driver)\"; there are \(names.joined(separator: " and "))")
        }
    }

    /// Fills in what a new pool's configuration leaves out, and refuses what does not fit its driver.
    static func complete(_ pool: inout StoragePool, in directory: DataDirectory) throws {
        guard names.contains(pool.driver) else {
            throw ServiceError.badRequest(
                "Unknown storage driver \"\(pool.driver)\"; there are \(names.joined(separator: " and "))")
        }
        // A preseed that was printed has what the daemon kept.
        pool.config = pool.config.filter { !$0.value.isEmpty && !$0.key.hasPrefix("volatile.") }
        try StorageKeys.check(pool.config, StorageKeys.pool, "storage pool")
        // Its own file, told again, is the same as none.
        if pool.config["source"] == directory.disk(pool.name) { pool.config["source"] = nil }
        let given = pool.config["source"]
        if let given {
            guard given.hasPrefix("/"), !given.utf8.contains(0) else {
                throw ServiceError.badRequest(
                    "The source of a storage pool must be an absolute path, not \"\(given)\"")
            }
            pool.config["volatile.initial_source"] = given
        }
        if ConfigValues.isTrue(pool.config, "shared") {
            guard pool.driver == "dir", given != nil else {
                throw ServiceError.badRequest(
                    "Only a pool of driver dir with a \"source\" can be \"shared\": a directory on a file system that all hosts mount"
                )
            }
        }
        if pool.driver == "dir" {
            for key in ["size", "btrfs.mount_options"] where pool.config[key] != nil {
                throw ServiceError.badRequest("A storage pool of driver dir has no \"\(key)\"")
            }
            pool.config["source"] = given ?? directory.pool(pool.name)
            return
        }
        if let given {
            if pool.config["size"] != nil {
                throw ServiceError.badRequest(
                    "Only a pool with a file of its own has a size; \"\(given)\" is as large as it is")
            }
            if pool.config["btrfs.mount_options"] != nil, !isBlockDevice(given) {
                throw ServiceError.badRequest(
                    "\"\(given)\" is mounted already; \"btrfs.mount_options\" is for files and devices")
            }
            return
        }
        pool.config["source"] = directory.disk(pool.name)
        let size = pool.config["size"].flatMap(ConfigValues.bytes) ?? defaultSize(directory.path)
        guard size >= smallestFile else {
            throw ServiceError.badRequest("A btrfs pool needs a size of 256MiB at least")
        }
        pool.config["size"] = pool.config["size"] ?? text(size)
    }

    /// A fifth of what is free, at least 5 and at most 30 GiB; but no more than there is.
    private static func defaultSize(_ path: String) -> Int64 {
        guard let free = try? Machine.room(in: path) else { return 5 << 30 }
        let wanted = max(5 << 30, min(30 << 30, free / 5))
        return max(smallestFile, (min(wanted, free) >> 20) << 20)
    }

    private static func text(_ bytes: Int64) -> String { "\(bytes >> 20)MiB" }

    static func isBlockDevice(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFBLK
    }
}
