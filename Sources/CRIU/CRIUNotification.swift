/// A moment of a dump or restore at which CRIU waits for its caller.
public struct CRIUNotification: Sendable, Hashable {
    /// The moments CRIU announces, by CRIU's own names.
    public enum Moment: String, Sendable, Hashable, CaseIterable {
        /// Before anything is stopped.
        case preDump = "pre-dump"
        /// Everything is dumped and the tasks still stand: the place for a snapshot of the files.
        case postDump = "post-dump"
        /// Before the first process is made.
        case preRestore = "pre-restore"
        /// Everything is restored; the network is still locked. An error here ends the restore.
        case postRestore = "post-restore"
        /// The tasks have been stopped; what reaches them from outside should be held back now.
        case networkLock = "network-lock"
        /// What was held back at `networkLock` may flow again.
        case networkUnlock = "network-unlock"
        /// The namespaces of the container exist and are empty; `pid` is the new first process.
        case setupNamespaces = "setup-namespaces"
        /// The namespaces are filled.
        case postSetupNamespaces = "post-setup-namespaces"
        /// The last moment before the tasks run on. CRIU ignores an error here.
        case preResume = "pre-resume"
        /// The tasks run.
        case postResume = "post-resume"
        /// Images are about to be streamed.
        case preStream = "pre-stream"
        /// `descriptor` is the master of a terminal of which only the slave belongs to the tasks.
        case orphanTerminalMaster = "orphan-pts-master"
        /// A page server or lazy-pages daemon is ready.
        case statusReady = "status-ready"
        /// CRIU asks which files are external.
        case queryExternalFiles = "query-ext-files"
    }

    /// Which moment it is.
    public let moment: Moment
    /// The process it is about (`setupNamespaces`, `postRestore`), in the caller's process namespace.
    public let pid: Int32?
    /// A file descriptor that came along (`orphanTerminalMaster`). The handler owns it and must close it.
    public let descriptor: Int32?

    /// Makes a notification.
    public init(moment: Moment, pid: Int32? = nil, descriptor: Int32? = nil) {
        self.moment = moment
        self.pid = pid
        self.descriptor = descriptor
    }
}
