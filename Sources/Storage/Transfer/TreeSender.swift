import CStorage
import Glibc
import LinuxSystem

/// Sends a volume entry by entry, of any driver: all of it first, then what has changed, known from the kernel without
/// looking at the files again.
final class TreeSender: VolumeSender, @unchecked Sendable {
    let volume: Volume
    let method = TransferMethod.tree
    private let action: String
    private let pool: String
    private let source: VolumeSource
    private let progress: TransferProgress.Callback
    private let root: SourceDirectory
    private let sent: SentFiles
    private let table = CopiedDirectory()
    private let watch: ChangeWatch?
    private var before = TransferProgress()

    /// Begins to watch the volume if a container runs in it.
    init(
        _ source: VolumeSource, directory: String, pool: String, _ options: TransferOptions
    ) throws {
        volume = source.volume
        action = "cannot send \(source.volume)"
        self.pool = pool
        self.source = source
        progress = options.progress
        let descriptor = try TreeCopier.open(directory)
        defer { close(descriptor) }
        root = try SourceDirectory(root: descriptor, FileStat.of(descriptor, directory))
        sent = SentFiles(root: root.descriptor)
        guard source.isRunning, options.watches else {
            watch = nil
            return
        }
        // btrfs wants the directory in which its file system begins, not one of a subvolume.
        let pool = try TreeCopier.open(pool)
        defer { close(pool) }
        watch = ChangeWatch(root: root.descriptor, of: [root.descriptor, pool])
    }

    deinit { watch?.end() }

    func send(_ pass: TransferPass, over socket: FileDescriptor) async throws -> PassReport {
        do {
            return try await SocketWork.run(socket) { try self.send(pass, through: socket.rawValue) }
        } catch {
            throw TransferFailure.describe(error, action, pool)
        }
    }

    func end() async { watch?.end() }

    /// Whether there are more passes than the first.
    var isRunning: Bool { source.isRunning }

    /// Goes on from a first pass that was made in another way, of the tree at `path`.
    func adopt(_ path: String) throws {
        let tree = try TreeCopier.open(path)
        defer { close(tree) }
        try TableScan.fill(table, from: tree)
        sent.isLater = true
    }

    private func send(_ pass: TransferPass, through socket: Int32) throws -> PassReport {
        let clock = ContinuousClock()
        let start = clock.now
        let writer = try TreeWriter(socket: socket, pass: pass) { [self] in tell($0) }
        let isLive = source.isRunning && pass.rawValue < TransferPass.last.rawValue
        if pass == .first {
            try sendAll(writer, isLive)
        } else {
            try sendChanges(writer, isLive, looksAtProcesses: pass != .again)
        }
        var report = try writer.finish()
        report.duration = clock.now - start
        tell(report)
        before.entries += report.copied
        before.bytes += report.bytes
        return report
    }

    private func sendAll(_ writer: TreeWriter, _ isLive: Bool) throws {
        let base = try writer.readIndex()
        if isLive { sent.watched = Set(openFiles().keys) }
        try TreeScan(writer: writer, isLive: isLive, sent: sent).run(
            SourceDirectory(root: root.descriptor, FileStat.of(root.descriptor, "the volume")),
            table: source.isRunning ? table : nil, base: base)
        sent.isLater = true
    }

    private func sendChanges(_ writer: TreeWriter, _ isLive: Bool, looksAtProcesses: Bool) throws {
        let changes =
            try watch?.take() ?? TableWalk.changes(in: root, since: table, isLive: isLive)
        let open = looksAtProcesses ? openFiles() : [:]
        if isLive { sent.watched.formUnion(open.keys) }
        try TreeDelta(root: root, writer: writer, sent: sent, isLive: isLive, table: table).run(
            changes, open: open, below: FileName("rootfs"))
    }

    private func openFiles() -> [UInt64: FileName] {
        let isBtrfs = cstorage_is_btrfs(root.descriptor) == 1
        return OpenFiles(of: source.processes(), device: isBtrfs ? nil : root.stat.dev).files
    }

    private func tell(_ report: PassReport) {
        var now = before
        now.entries += report.copied
        now.bytes += report.bytes
        progress(now)
    }
}

/// What is sent: a volume, and who may write to it meanwhile.
public struct VolumeSource: Sendable {
    /// The volume.
    public var volume: Volume
    /// Whether a container runs in it, so that there will be more passes than the first.
    public var isRunning: Bool
    /// The container's processes, as the host numbers them, at the time of the call.
    public var processes: @Sendable () -> [Int32]

    /// A volume that nobody writes to.
    public init(_ volume: Volume) {
        self.volume = volume
        isRunning = false
        processes = { [] }
    }

    /// The volume of a running container.
    public init(running volume: Volume, processes: @escaping @Sendable () -> [Int32]) {
        self.volume = volume
        isRunning = true
        self.processes = processes
    }
}
