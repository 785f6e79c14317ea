internal import Glibc

/// What the images of a dump hold, for people: processes and their memory, open files, sockets, timers, mounts.
///
/// Pure reading: nothing is run, nothing is changed. Images may come from another machine; whatever is wrong with them is
/// an error, and what is read of them, and made of it, has a limit.
public struct CRIUSavedState: Sendable, Hashable {
    /// A process.
    public struct Process: Sendable, Hashable {
        /// Its number inside.
        public var pid: Int32
        /// The number of its parent; 0: it is outside.
        public var parent: Int32
        /// Its process group.
        public var group: Int32
        /// Its session.
        public var session: Int32
        /// The name of its main thread.
        public var name: String
        /// Whether it runs, is stopped, or has ended and not been waited for.
        public var state: ProcessState
        /// The numbers of its threads, its own included.
        public var threads: [Int32]
        /// The program's file; empty where there is none any more.
        public var executable: String
        /// Its memory.
        public var memory: Memory
        /// The number of the mount namespace it is in, as `Mount.namespace`; 0: none.
        public var mountNamespace: UInt32
    }

    /// What a process did.
    public enum ProcessState: String, Sendable, Hashable {
        /// It runs.
        case running
        /// It was stopped by a signal.
        case stopped
        /// It has ended, and its parent has not yet asked.
        case ended
    }

    /// The memory of a process, in bytes.
    public struct Memory: Sendable, Hashable {
        /// Saved pages that are its own.
        public var own: Int64 = 0
        /// Saved pages of memory that others may share.
        public var shared: Int64 = 0
        /// What it has mapped of files: not saved, unless it has changed it, which makes it its own.
        public var files: Int64 = 0
    }

    /// A file that a process has open.
    public struct File: Sendable, Hashable {
        /// The process.
        public var pid: Int32
        /// The number it has there.
        public var descriptor: Int32
        /// What it is: `file`, `directory`, `device`, `pipe`, `fifo`, `socket`, `terminal`, …
        public var kind: String
        /// Its path, or what stands for it: `pipe:[17]`.
        public var path: String
        /// `r`, `w`, `rw`; empty where it means nothing.
        public var access: String
        /// Where it is read or written next.
        public var position: UInt64
        /// Its size when it was saved; nil where it has none.
        public var size: UInt64?
        /// Its name is gone: CRIU has saved what is in it.
        public var isDeleted: Bool
    }

    /// A socket, whoever has it open.
    public struct Socket: Sendable, Hashable {
        /// The processes that have it open, once each.
        public var pids: [Int32]
        /// `tcp`, `tcp6`, `udp`, `unix`, `netlink`, `packet`, …
        public var kind: String
        /// `stream`, `datagram`, …
        public var type: String
        /// `LISTEN`, `ESTABLISHED`, …; empty where there is none.
        public var state: String
        /// Its own address.
        public var local: String
        /// The address of the other end; `process N` where it has none but is in a process.
        public var remote: String
        /// Bytes that have come and were not read.
        public var unread: UInt32
        /// Bytes that were written and not yet acknowledged.
        public var unsent: UInt32
    }

    /// A timer that runs, or a timer descriptor.
    public struct Timer: Sendable, Hashable {
        /// The process; 0: nobody has it open.
        public var pid: Int32
        /// `real`, `virtual`, `profiling`, `posix` or `descriptor`.
        public var kind: String
        /// The clock it goes by.
        public var clock: String
        /// Microseconds until it expires; 0: it is not armed.
        public var left: Int64
        /// Microseconds between times; 0: it expires once.
        public var interval: Int64
    }

    /// A mount.
    public struct Mount: Sendable, Hashable {
        /// The number of the namespace it is in.
        public var namespace: UInt32
        /// Where it is.
        public var path: String
        /// The kind of file system; empty: a kind CRIU does not save, whose files are not in the checkpoint.
        public var kind: String
        /// What is mounted.
        public var source: String
        /// Which part of it; as seen from the tasks' root, where it belongs to the same file system.
        public var root: String
        /// Nothing can be written.
        public var isReadOnly: Bool
        /// It comes from outside, and is put there by whoever restores.
        public var isExternal: Bool
    }

    /// The processes, parents before children.
    public var processes: [Process]
    /// What they have open, sockets included.
    public var files: [File]
    /// Their sockets.
    public var sockets: [Socket]
    /// Their timers.
    public var timers: [Timer]
    /// Their mounts, the first process's namespace first.
    public var mounts: [Mount]

    /// Reads the images in a directory.
    public init(directory: String) throws(CRIUError) {
        var reader = SavedReader(SavedImages(directory: directory), pageSize: UInt64(max(1, getpagesize())))
        self = try reader.state()
    }

    /// Reads images from memory, by their names.
    package init(images: [String: [UInt8]], pageSize: UInt64 = 4096) throws(CRIUError) {
        var reader = SavedReader(SavedImages(bytes: images), pageSize: pageSize)
        self = try reader.state()
    }

    init(processes: [Process], files: [File], sockets: [Socket], timers: [Timer], mounts: [Mount]) {
        self.processes = processes
        self.files = files
        self.sockets = sockets
        self.timers = timers
        self.mounts = mounts
    }
}
