public import LinuxSystem

/// The files of a container, as the container itself sees them: no symlink in it leads to the host.
///
/// Each operation is done by a helper process (`apus-runtime files`) inside the container's own root, which
/// hands open files back. A helper is used again for what follows within some seconds.
public final class ContainerFiles: Sendable {
    /// Where the files are.
    public enum Root: Sendable {
        /// A running container, by its init process; a privileged one has no user namespace of its own.
        case running(ProcessDescriptor, isPrivileged: Bool)
        /// A stopped container, by the directory of its root file system.
        case stopped(rootfs: String)
    }

    private let root: Root
    private let program: String
    private let idle = FileHelperPool()

    /// The files of a container. `program` is the path of `apus-runtime`.
    public init(_ root: Root, program: String) {
        self.root = root
        self.program = program
    }

    /// Opens what a path means. A symlink at its end is followed unless told otherwise.
    public func open(_ path: String, follow: Bool = true) async throws -> ContainerFile {
        try await withHelper { helper in
            let (reply, descriptors) = try await helper.ask(.open(path: path, follow: follow))
            switch reply {
            case .file(let info):
                return ContainerFile(info: info, content: descriptors.first.map { .data($0) } ?? .none)
            case .directory(let info, let entries):
                return ContainerFile(info: info, content: .entries(entries))
            case .symlink(let info, let target): return ContainerFile(info: info, content: .target(target))
            case .done, .failed: throw WireReader.malformed
            }
        }
    }

    /// What a path means, without its content.
    public func info(_ path: String, follow: Bool = true) async throws -> ContainerFileInfo {
        try await open(path, follow: follow).info
    }

    /// The entries of a directory.
    public func list(_ path: String) async throws -> [ContainerDirectoryEntry] {
        guard case .entries(let entries) = try await open(path).content else {
            throw ContainerFileError(.notDirectory, "cannot list \(path): it is not a directory")
        }
        return entries
    }

    /// Begins to write a file, new or in place of the one that is there. Write into the writer's descriptor,
    /// then `commit`. With `append`, what is written follows what is there.
    public func write(
        _ path: String, attributes: ContainerFileAttributes = .init(), append: Bool = false
    ) async throws -> ContainerFileWriter {
        let helper: FileHelper
        if let waiting = idle.take() { helper = waiting } else { helper = try await startHelper() }
        do {
            let (reply, descriptors) = try await helper.ask(.write(path: path, attributes, append: append))
            guard case .done = reply, let file = descriptors.first else { throw WireReader.malformed }
            return ContainerFileWriter(helper: helper, pool: idle, file: file)
        } catch let error as ContainerFileError where error.code != .gone {
            idle.give(helper)
            throw error
        }
    }

    /// Writes a small file whole.
    public func write(
        _ bytes: [UInt8], to path: String, attributes: ContainerFileAttributes = .init(), append: Bool = false
    ) async throws {
        let writer = try await write(path, attributes: attributes, append: append)
        do {
            try writer.file.write(bytes)
        } catch let error as SystemError {
            await writer.cancel()
            throw ContainerFileError("write", path, errno: error.errno)
        }
        try await writer.commit()
    }

    /// Makes a directory. With `parents`, as `mkdir -p`: those above it as well, and one that is there is
    /// good.
    public func makeDirectory(
        _ path: String, attributes: ContainerFileAttributes = .init(), parents: Bool = false
    ) async throws {
        try await perform(.makeDirectory(path: path, attributes, parents: parents))
    }

    /// Makes a symlink.
    public func makeSymlink(
        _ path: String, to target: String, attributes: ContainerFileAttributes = .init()
    ) async throws {
        try await perform(.makeSymlink(path: path, target: target, attributes))
    }

    /// Removes a file or an empty directory; with `recursive` a directory with all that is in it.
    public func remove(_ path: String, recursive: Bool = false) async throws {
        try await perform(.remove(path: path, recursive: recursive))
    }

    /// Ends idle helpers now. They end by themselves as well: with the container, or after some seconds.
    public func close() { idle.close() }

    private func perform(_ request: FileRequest) async throws {
        try await withHelper { helper in
            guard case .done = try await helper.ask(request).0 else { throw WireReader.malformed }
        }
    }

    /// Runs `body` with a helper, which is kept for the next operation unless it is gone.
    private func withHelper<Result: Sendable>(
        _ body: (FileHelper) async throws -> Result
    ) async throws -> Result {
        let helper: FileHelper
        if let waiting = idle.take() { helper = waiting } else { helper = try await startHelper() }
        do {
            let result = try await body(helper)
            idle.give(helper)
            return result
        } catch let error as ContainerFileError where error.code != .gone {
            idle.give(helper)
            throw error
        }
    }

    private func startHelper() async throws -> FileHelper {
        try await FileHelper(program: program, root: root)
    }
}

/// A file of a container that is being written.
public final class ContainerFileWriter: Sendable {
    /// Write the content here, from its beginning on.
    public let file: FileDescriptor
    private let helper: FileHelper
    private let pool: FileHelperPool

    init(helper: FileHelper, pool: FileHelperPool, file: FileDescriptor) {
        self.helper = helper
        self.pool = pool
        self.file = file
    }

    /// Makes what was written the file, with its owner and mode.
    public func commit() async throws {
        let (reply, _) = try await helper.ask(.commit)
        file.close()
        guard case .done = reply else { throw WireReader.malformed }
        pool.give(helper)
    }

    /// Gives it up. The file is as it was, unless it is one that had to be written in place.
    public func cancel() async {
        file.close()
        if (try? await helper.ask(.cancel)) != nil { pool.give(helper) }
    }
}
