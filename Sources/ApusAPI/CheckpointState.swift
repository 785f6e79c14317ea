/// What a saved running state holds: `GET /1.0/instances/<name>/checkpoint`, and that of a snapshot.
public struct CheckpointState: Codable, Sendable, Equatable {
    /// The container's name when it was saved.
    @Defaulted public var container: String
    /// When its processes stood still.
    @Defaulted public var takenAt: Timestamp
    /// The version of Apus that saved it.
    @Defaulted public var apus: String
    /// The version of CRIU that saved it.
    @Defaulted public var criu: String
    /// The kernel it was saved on.
    @Defaulted public var kernel: String
    /// The processor's architecture.
    @Defaulted public var architecture: String
    /// All bytes on disk.
    @Defaulted public var size: Int64
    /// Of these, by what they are: `memory`, `tmpfs`, `deleted_files`, `other`.
    @Defaulted public var sizes: [String: Int64]
    /// Where the time went.
    @Defaulted public var times: CheckpointTimes
    /// The processes, parents before children.
    @Defaulted public var processes: [CheckpointProcess]
    /// What they have open, sockets included.
    @Defaulted public var files: [CheckpointFile]
    /// Their sockets.
    @Defaulted public var sockets: [CheckpointSocket]
    /// Their timers.
    @Defaulted public var timers: [CheckpointTimer]
    /// Their mounts.
    @Defaulted public var mounts: [CheckpointMount]

    enum CodingKeys: String, CodingKey {
        case container, apus, criu, kernel, architecture, size, sizes, times, processes, files, sockets
        case timers, mounts
        case takenAt = "taken_at"
    }

    /// Nothing yet.
    public init() {}
}

/// Where the time of a dump went, in microseconds. Zero: nobody has measured.
public struct CheckpointTimes: Codable, Sendable, Equatable, Defaultable {
    /// How long the processes stood still.
    @Defaulted public var frozen: Int64
    /// Of that, until all of them did.
    @Defaulted public var freezing: Int64
    /// Of that, for finding out which memory there is to save.
    @Defaulted public var memoryDump: Int64
    /// Of that, for writing it.
    @Defaulted public var memoryWrite: Int64
    /// Pages of memory looked at.
    @Defaulted public var pagesScanned: Int64
    /// Pages of memory written.
    @Defaulted public var pagesWritten: Int64

    enum CodingKeys: String, CodingKey {
        case frozen = "frozen_us"
        case freezing = "freezing_us"
        case memoryDump = "memory_dump_us"
        case memoryWrite = "memory_write_us"
        case pagesScanned = "pages_scanned"
        case pagesWritten = "pages_written"
    }

    /// Nothing measured.
    public init() {}

    /// Nothing measured.
    public static var apiDefault: CheckpointTimes { CheckpointTimes() }
}

/// A process of a saved running state.
public struct CheckpointProcess: Codable, Sendable, Equatable {
    /// Its number in the container.
    @Defaulted public var pid: Int64
    /// That of its parent; 0: it has none there.
    @Defaulted public var parent: Int64
    /// Its process group.
    @Defaulted public var group: Int64
    /// Its session.
    @Defaulted public var session: Int64
    /// Its name.
    @Defaulted public var name: String
    /// "running", "stopped" (by a signal) or "ended" (its parent has not yet asked).
    @Defaulted public var state: String
    /// The numbers of its threads, its own included.
    @Defaulted public var threads: [Int64]
    /// The program's file.
    @Defaulted public var executable: String
    /// The systemd unit that it belongs to.
    @Defaulted public var unit: String
    /// Its control group below the container's root.
    @Defaulted public var cgroup: String
    /// Bytes saved of memory of its own.
    @Defaulted public var memoryPrivate: Int64
    /// Bytes saved of memory that it may share with others.
    @Defaulted public var memoryShared: Int64
    /// Bytes of files that it has mapped; these are not saved.
    @Defaulted public var memoryFiles: Int64
    /// The number of its mount namespace, as `namespace` of the mounts.
    @Defaulted public var mountNamespace: Int64

    enum CodingKeys: String, CodingKey {
        case pid, parent, group, session, name, state, threads, executable, unit, cgroup
        case memoryPrivate = "memory_private"
        case memoryShared = "memory_shared"
        case memoryFiles = "memory_files"
        case mountNamespace = "mount_namespace"
    }

    /// Nothing yet.
    public init() {}
}

/// A file that a process of a saved running state has open.
public struct CheckpointFile: Codable, Sendable, Equatable {
    /// The process.
    @Defaulted public var pid: Int64
    /// The number that it has there.
    @Defaulted public var fd: Int64
    /// "file", "directory", "device", "pipe", "fifo", "socket", "terminal", "eventfd", "epoll", …
    @Defaulted public var kind: String
    /// Its path, or what stands for it.
    @Defaulted public var path: String
    /// "r", "w", "rw", or nothing.
    @Defaulted public var access: String
    /// Where it is read or written next.
    @Defaulted public var position: Int64
    /// Its size when it was saved, of a plain file.
    public var size: Int64?
    /// Its name is gone; what is in it is saved.
    @Defaulted public var deleted: Bool

    /// Nothing yet.
    public init() {}
}

/// A socket of a saved running state.
public struct CheckpointSocket: Codable, Sendable, Equatable {
    /// The processes that have it open.
    @Defaulted public var pids: [Int64]
    /// "tcp", "tcp6", "udp", "unix", "netlink", "packet", …
    @Defaulted public var kind: String
    /// "stream", "datagram", …
    @Defaulted public var type: String
    /// "LISTEN", "ESTABLISHED", …
    @Defaulted public var state: String
    /// Its own address.
    @Defaulted public var local: String
    /// The address of the other end.
    @Defaulted public var remote: String
    /// Bytes that came and were not read.
    @Defaulted public var unread: Int64
    /// Bytes that were written and not acknowledged.
    @Defaulted public var unsent: Int64

    /// Nothing yet.
    public init() {}
}

/// A timer of a saved running state.
public struct CheckpointTimer: Codable, Sendable, Equatable {
    /// The process; 0: nobody has it open.
    @Defaulted public var pid: Int64
    /// "real", "virtual", "profiling", "posix" or "descriptor".
    @Defaulted public var kind: String
    /// The clock it goes by.
    @Defaulted public var clock: String
    /// Microseconds until it expires; 0: it is not armed.
    @Defaulted public var left: Int64
    /// Microseconds between times; 0: it expires once.
    @Defaulted public var interval: Int64

    enum CodingKeys: String, CodingKey {
        case pid, kind, clock
        case left = "left_us"
        case interval = "interval_us"
    }

    /// Nothing yet.
    public init() {}
}

/// A mount of a saved running state.
public struct CheckpointMount: Codable, Sendable, Equatable {
    /// The number of the mount namespace it is in.
    @Defaulted public var namespace: Int64
    /// Where it is.
    @Defaulted public var path: String
    /// The kind of file system; empty: one whose files are not part of the saved state.
    @Defaulted public var kind: String
    /// What is mounted.
    @Defaulted public var source: String
    /// Which part of it.
    @Defaulted public var root: String
    /// Nothing can be written there.
    @Defaulted public var readonly: Bool
    /// It comes from outside, and is put there by the daemon.
    @Defaulted public var external: Bool

    /// Nothing yet.
    public init() {}
}
