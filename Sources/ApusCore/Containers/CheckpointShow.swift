public import ApusAPI
import CRIU
import Checkpoint
import ContainerRuntime

extension ContainerService {
    /// What the running state holds that a container was stopped with.
    public func checkpoint(of name: String) async throws -> CheckpointState {
        let entry = try entry(name)
        guard entry.record.stateful else {
            let advice =
                entry.live == nil
                ? "it was not stopped with --stateful"
                : "it is running; \"apus stop \(name) --stateful\" would save it"
            throw ServiceError.notFound(
                "\(name) has no saved running state: \(advice). Its snapshots may have one: \"apus checkpoint show \(name)/SNAPSHOT\""
            )
        }
        return try await checkpointState(context.directory.stoppedState(name))
    }

    /// What the running state of a snapshot holds.
    public func checkpoint(of name: String, snapshot: String) async throws -> CheckpointState {
        guard try record(name, snapshot).stateful else {
            throw ServiceError.notFound(
                "Snapshot \"\(snapshot)\" of \(name) has no running state: it was taken without --stateful. \"apus snapshot \(name) NAME --stateful\" takes one that has"
            )
        }
        return try await checkpointState(context.directory.snapshotState(name, snapshot))
    }

    private func checkpointState(_ directory: String) async throws -> CheckpointState {
        CheckpointState(try await CheckpointStore.contents(directory: directory))
    }
}

extension CheckpointState {
    /// As the API shows it.
    init(_ contents: CheckpointContents) {
        self.init()
        let record = contents.record
        container = record.container
        takenAt = Timestamp(record.takenAt)
        apus = record.compatibility.apus
        criu = record.compatibility.criu
        kernel = record.compatibility.kernel
        architecture = record.compatibility.architecture
        size = contents.size
        for part in CheckpointContents.Part.allCases { sizes[part.rawValue] = contents.sizes[part] ?? 0 }
        times = CheckpointTimes(contents)
        let cgroups = Dictionary(record.tasks.map { ($0.pid, $0.cgroup) }, uniquingKeysWith: { $1 })
        processes = contents.state.processes.map {
            CheckpointProcess($0, cgroup: cgroups[$0.pid] ?? "")
        }
        files = contents.state.files.map(CheckpointFile.init)
        sockets = contents.state.sockets.map(CheckpointSocket.init)
        timers = contents.state.timers.map(CheckpointTimer.init)
        mounts = contents.state.mounts.map(CheckpointMount.init)
    }
}

extension Timestamp {
    /// From seconds since 1970, which may be anything.
    fileprivate init(_ seconds: Double) {
        // Until the year 9999.
        guard seconds >= 0, seconds < 253_402_300_800 else {
            self = .zero
            return
        }
        let whole = seconds.rounded(.down)
        self.init(
            seconds: Int64(whole), nanoseconds: Int32(min(999_999_999, (seconds - whole) * 1_000_000_000)))
    }
}

extension CheckpointTimes {
    fileprivate init(_ contents: CheckpointContents) {
        self.init()
        frozen = Int64(contents.record.frozenMicroseconds)
        guard let statistics = contents.statistics else { return }
        freezing = Int64(statistics.freezingTime)
        memoryDump = Int64(statistics.memoryDumpTime)
        memoryWrite = Int64(statistics.memoryWriteTime)
        pagesScanned = Int64(clamping: statistics.pagesScanned)
        pagesWritten = Int64(clamping: statistics.pagesWritten)
    }
}

extension CheckpointProcess {
    fileprivate init(_ process: CRIUSavedState.Process, cgroup: String) {
        self.init()
        pid = Int64(process.pid)
        parent = Int64(process.parent)
        group = Int64(process.group)
        session = Int64(process.session)
        name = process.name
        state = process.state.rawValue
        threads = process.threads.map(Int64.init)
        executable = process.executable
        self.cgroup = cgroup
        unit = SystemdUnit.name(inCgroups: cgroup) ?? ""
        memoryPrivate = process.memory.own
        memoryShared = process.memory.shared
        memoryFiles = process.memory.files
        mountNamespace = Int64(process.mountNamespace)
    }
}

extension CheckpointFile {
    fileprivate init(_ file: CRIUSavedState.File) {
        self.init()
        pid = Int64(file.pid)
        fd = Int64(file.descriptor)
        kind = file.kind
        path = file.path
        access = file.access
        position = Int64(clamping: file.position)
        size = file.size.map { Int64(clamping: $0) }
        deleted = file.isDeleted
    }
}

extension CheckpointSocket {
    fileprivate init(_ socket: CRIUSavedState.Socket) {
        self.init()
        pids = socket.pids.map(Int64.init)
        kind = socket.kind
        type = socket.type
        state = socket.state
        local = socket.local
        remote = socket.remote
        unread = Int64(socket.unread)
        unsent = Int64(socket.unsent)
    }
}

extension CheckpointTimer {
    fileprivate init(_ timer: CRIUSavedState.Timer) {
        self.init()
        pid = Int64(timer.pid)
        kind = timer.kind
        clock = timer.clock
        left = timer.left
        interval = timer.interval
    }
}

extension CheckpointMount {
    fileprivate init(_ mount: CRIUSavedState.Mount) {
        self.init()
        namespace = Int64(mount.namespace)
        path = mount.path
        kind = mount.kind
        source = mount.source
        root = mount.root
        readonly = mount.isReadOnly
        external = mount.isExternal
    }
}
