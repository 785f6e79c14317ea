import Glibc
import LinuxSystem

extension ContainerService {
    /// The names of a container's log files, newest last.
    public func logs(_ name: String) throws -> [String] {
        _ = try entry(name)
        let directory = context.directory.logs(name)
        guard Files.isDirectory(directory) else { return [] }
        return try Files.names(in: directory).sorted()
    }

    /// A log file of a container; at most its last 4 MiB.
    public func log(_ name: String, _ file: String) throws -> [UInt8] {
        let descriptor = try FileDescriptor.open(try logPath(name, file), O_RDONLY | O_NOFOLLOW)
        let limit = 4 << 20
        let size = Int(try descriptor.status().st_size)
        if size > limit { lseek(descriptor.rawValue, off_t(size - limit), SEEK_SET) }
        return try descriptor.readAll(limit: limit)
    }

    /// Deletes a log file of a container.
    public func deleteLog(_ name: String, _ file: String) throws { try removeTree(try logPath(name, file)) }

    private func logPath(_ name: String, _ file: String) throws -> String {
        _ = try entry(name)
        // LXD's client asks for the log of liblxc: `lxc info --show-log`.
        let file = file == "lxc.log" ? "runtime.log" : file
        let path = context.directory.logs(name) + "/" + file
        guard !file.isEmpty, !file.contains("/"), file != ".", file != "..", !file.utf8.contains(0),
            Files.exists(path)
        else { throw ServiceError.notFound("Log file not found") }
        return path
    }
}
