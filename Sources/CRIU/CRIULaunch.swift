public import LinuxSystem

/// How a CRIU process is started.
public struct CRIULaunch: Sendable {
    /// The directories CRIU finds its helpers (`tar`, `ip`, `nft` …) in; nil: as they are.
    public var searchPath: String?
    /// A directory on a tmpfs that CRIU sees as `/run`, in a mount namespace of its own. CRIU keeps what it
    /// learns about the kernel in `/run`, but only on a tmpfs; without, it learns anew each time (40 ms).
    /// Only for tasks that have a mount namespace of their own: CRIU takes theirs for one if it differs from its own.
    public var runDirectory: String?
    /// Descriptors CRIU gets, by the number they have there. 3 is its own, 4 that of the page socket.
    public var descriptors: [Int32: FileDescriptor]
    /// Paths of `cgroup.procs` files CRIU joins; what it restores is born there.
    public var cgroups: [String]
    /// Namespaces CRIU makes for itself, after having joined its control groups.
    public var namespaces: Namespaces
    /// CRIU's scheduling priority, -20 (first) … 19. What stands still waits for CRIU, and CRIU should not have
    /// to wait for others. What it restores gets its own priorities back.
    public var niceness: Int32
    /// A connected stream socket that memory pages travel through: see `CRIUDumpOptions.Pages` and `CRIUPageReceiver`.
    public var pageSocket: FileDescriptor?

    /// Makes launch settings.
    public init(
        searchPath: String? = nil, runDirectory: String? = nil, descriptors: [Int32: FileDescriptor] = [:],
        cgroups: [String] = [], namespaces: Namespaces = [], niceness: Int32 = 0,
        pageSocket: FileDescriptor? = nil
    ) {
        self.searchPath = searchPath
        self.runDirectory = runDirectory
        self.descriptors = descriptors
        self.cgroups = cgroups
        self.namespaces = namespaces
        self.niceness = niceness
        self.pageSocket = pageSocket
    }

    /// How `criu swrk` is started, with its end of the channel as descriptor 3.
    func spawn(_ installation: CRIUInstallation, channel: FileDescriptor) -> Spawn {
        // CRIU takes the socket of a lazy dump from the command line only.
        let socket = pageSocket.map { _ in ["--ps-socket", String(Self.pageSocketNumber)] } ?? []
        var descriptors = descriptors
        descriptors[Self.channelNumber] = channel
        return program(
            installation.command + socket + ["swrk", String(Self.channelNumber)], descriptors: descriptors)
    }

    /// How a program of CRIU's is started with these settings.
    func program(_ arguments: [String], descriptors: [Int32: FileDescriptor]) -> Spawn {
        var environment = Environment.all
        if let searchPath { environment["PATH"] = searchPath }
        var descriptors = descriptors
        if let pageSocket { descriptors[Self.pageSocketNumber] = pageSocket }
        var spawn = Spawn(arguments, environment: environment, fds: descriptors)
        spawn.newSession = true
        spawn.cgroups = cgroups
        spawn.unshare = namespaces
        if let runDirectory {
            spawn.mounts = [SpawnMount(runDirectory, on: "/run", type: "none", flags: .bind)]
        }
        return spawn
    }

    private static let channelNumber: Int32 = 3
    /// The page socket's number in CRIU.
    static let pageSocketNumber: Int32 = 4
}
