import Glibc
public import LinuxSystem

/// What a file of a container is.
public enum ContainerFileType: String, Sendable, Hashable {
    /// A regular file.
    case file
    /// A directory.
    case directory
    /// A symlink.
    case symlink
    /// A device, socket or fifo: never opened.
    case other
}

/// What is known of a file of a container; owners as the container sees them.
public struct ContainerFileInfo: Sendable, Hashable {
    /// What it is.
    public let type: ContainerFileType
    /// Its owner.
    public let user: UInt32
    /// Its group.
    public let group: UInt32
    /// The permission bits.
    public let mode: UInt32
    /// The size in bytes.
    public let size: Int64
    /// When its content was changed: seconds since 1970.
    public let modified: Int64
}

/// One entry of a directory.
public struct ContainerDirectoryEntry: Sendable, Hashable {
    /// Its name.
    public let name: String
    /// What it is.
    public let info: ContainerFileInfo
}

/// A file of a container with its content, as far as it has one.
public struct ContainerFile: Sendable {
    /// What is in it.
    public enum Content: Sendable {
        /// A regular file, open for reading.
        case data(FileDescriptor)
        /// A directory's entries, by name.
        case entries([ContainerDirectoryEntry])
        /// Where a symlink points.
        case target(String)
        /// Nothing that could be handed out.
        case none
    }

    /// What it is.
    public let info: ContainerFileInfo
    /// What is in it.
    public let content: Content
}

/// Owner and mode for a file that is written or made. What is not given is kept of a file that exists;
/// new ones belong to root, with 0644 (files) or 0755 (directories).
public struct ContainerFileAttributes: Sendable, Hashable {
    /// The owner, as the container sees it.
    public var user: UInt32?
    /// The group, as the container sees it.
    public var group: UInt32?
    /// The permission bits.
    public var mode: UInt32?

    /// Attributes; what is nil is left as it is.
    public init(user: UInt32? = nil, group: UInt32? = nil, mode: UInt32? = nil) {
        self.user = user
        self.group = group
        self.mode = mode
    }
}

/// Why something could not be done to a file of a container.
public struct ContainerFileError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kinds of failure callers tell apart.
    public enum Code: String, Sendable {
        /// There is no such file, or a directory on the way is missing.
        case notFound
        /// Something of that name exists.
        case exists
        /// It is a directory, and a file was wanted.
        case isDirectory
        /// It is no directory, and one was wanted.
        case notDirectory
        /// It is a directory with entries.
        case notEmpty
        /// It is neither file, directory nor symlink, or its name cannot be one.
        case notAllowed
        /// The container's file system is full.
        case noSpace
        /// The container is going or gone.
        case gone
        /// Any other refusal of the operating system.
        case system
    }

    /// The kind of failure.
    public let code: Code
    /// What was being done, to what, and why it failed.
    public let message: String

    /// A failure.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }

    /// The failure an errno stands for.
    init(_ action: String, _ path: String, errno reason: Int32) {
        let code: Code =
            switch reason {
            case ENOENT: .notFound
            case EEXIST: .exists
            case EISDIR: .isDirectory
            case ENOTDIR: .notDirectory
            case ENOTEMPTY: .notEmpty
            case ENOSPC, EDQUOT: .noSpace
            case ELOOP, EINVAL, ENAMETOOLONG, EXDEV: .notAllowed
            default: .system
            }
        self.init(code, "cannot \(action) \(path): \(SystemError.reason(reason))")
    }
}
