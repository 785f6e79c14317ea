import ApusAPI
public import ContainerRuntime
import LinuxSystem
import Storage

/// Files inside containers, running or not, as the container itself sees them.
public struct FileService: Sendable {
    private let context: ServiceContext
    private let containers: ContainerService

    init(context: ServiceContext, containers: ContainerService) {
        self.context = context
        self.containers = containers
    }

    /// Opens what a path means; a symlink at its end is shown as such.
    public func open(_ name: String, _ path: String) async throws -> ContainerFile {
        try await with(name, path, writing: false) { files, path in try await files.open(path, follow: false)
        }
    }

    /// Begins to write a file.
    public func write(
        _ name: String, _ path: String, _ attributes: ContainerFileAttributes, append: Bool
    ) async throws -> ContainerFileWriter {
        try await with(name, path, writing: true) { files, path in
            try await files.write(path, attributes: attributes, append: append)
        }
    }

    /// Makes a directory; one that is there is good.
    public func makeDirectory(_ name: String, _ path: String, _ attributes: ContainerFileAttributes)
        async throws
    {
        try await with(name, path, writing: true) { files, path in
            do {
                try await files.makeDirectory(path, attributes: attributes)
            } catch let error as ContainerFileError where error.code == .exists {
                guard try await files.info(path).type == .directory else { throw error }
            }
        }
    }

    /// Makes a symlink.
    public func makeSymlink(
        _ name: String, _ path: String, to target: String, _ attributes: ContainerFileAttributes
    ) async throws {
        try await with(name, path, writing: true) { files, path in
            try await files.makeSymlink(path, to: target, attributes: attributes)
        }
    }

    /// Removes a file or an empty directory; with `recursive` all that is in it.
    public func remove(_ name: String, _ path: String, recursive: Bool) async throws {
        try await with(name, path, writing: true) { files, path in
            try await files.remove(path, recursive: recursive)
        }
    }

    private func with<Result: Sendable>(
        _ name: String, _ path: String, writing: Bool,
        _ body: (ContainerFiles, String) async throws -> Result
    ) async throws -> Result {
        guard !path.isEmpty, !path.utf8.contains(0) else {
            throw ServiceError.badRequest("Say which file: the path is missing")
        }
        let absolute = path.hasPrefix("/") ? path : "/" + path
        let (root, cached) = try await containers.fileRoot(name, writing: writing)
        let files = cached ?? ContainerFiles(root, program: context.launcher.program)
        do {
            let result = try await body(files, absolute)
            // A stopped container's files may be put back to a snapshot at any time: no helper stays in the old ones.
            if cached == nil { files.close() }
            return result
        } catch let error as ContainerFileError {
            if cached == nil { files.close() }
            throw ServiceError(error.serviceCode, error.message)
        }
    }
}

extension ContainerFileError {
    fileprivate var serviceCode: ServiceError.Code {
        switch code {
        case .notFound: .notFound
        case .system, .gone: .internal
        default: .badRequest
        }
    }
}

extension ContainerService {
    /// Where a container's files are, and for a running one the way to them that is used again.
    func fileRoot(_ name: String, writing: Bool) throws -> (ContainerFiles.Root, ContainerFiles?) {
        let entry = try entry(name)
        if let action = context.locks.action(of: name), action == "restoring" || action == "deleting" {
            throw ServiceError.conflict(
                "Instance \"\(name)\" is busy: \(action). Try again when that is done")
        }
        if let live = entry.live {
            let root = ContainerFiles.Root.running(
                try ProcessDescriptor(pid: live.initPID), isPrivileged: live.spec.isPrivileged)
            return (root, live.files(root, program: context.launcher.program))
        }
        guard !writing || !entry.record.stateful else {
            throw ServiceError.badRequest(
                "\"\(name)\" is stopped with its running state kept: changing its files now would break that. "
                    + "Start it first")
        }
        return (.stopped(rootfs: try pools.driver(entry.record.pool).rootfs(of: .container(name))), nil)
    }
}
