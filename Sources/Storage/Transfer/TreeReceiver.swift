import CStorage
import Glibc
import LinuxSystem

/// Takes in what a `TreeSender` sends.
final class TreeReceiver: VolumeReceiver, @unchecked Sendable {
    let volume: Volume
    private let place: any ReceivingPlace
    private let pool: any StorageDriver
    private let progress: TransferProgress.Callback
    private var before = TransferProgress()
    private var isFirst: Bool

    init(
        _ volume: Volume, in place: any ReceivingPlace, of pool: any StorageDriver, isFirst: Bool = true,
        progress: @escaping TransferProgress.Callback
    ) {
        self.volume = volume
        self.isFirst = isFirst
        self.place = place
        self.pool = pool
        self.progress = progress
    }

    var directory: String { place.directory }

    func receive(over socket: FileDescriptor) async throws -> ReceivedPass {
        let action = "cannot receive \(volume)"
        do {
            return try await SocketWork.run(socket) { try self.receive(through: socket.rawValue, action) }
        } catch {
            throw TransferFailure.describe(error, action, pool.poolPath)
        }
    }

    private func receive(through socket: Int32, _ action: String) throws -> ReceivedPass {
        let start = ContinuousClock.now
        let reader = RecordReader(socket: socket)
        let writer = RecordWriter(socket: socket)
        let root = try TreeCopier.open(place.directory)
        defer { close(root) }
        do {
            if isFirst { try tellWhatIsHere(root, writer) }
            isFirst = false
            let room = try pool.space().available
            let builder = try TreeBuilder(
                root: root, reader: reader,
                budget: room > TreeBuilder.reserve ? room - TreeBuilder.reserve : 0)
            reader.afterReceiving = { [self, weak builder] in if let builder { tell(builder.report) } }
            let pass = try builder.run()
            try writer.byte(TreeReply.done.rawValue)
            try writer.flush()
            try empty(builder.trash)
            var report = builder.report
            report.duration = start.duration(to: .now)
            tell(report)
            before.entries += report.copied
            before.bytes += report.bytes
            return ReceivedPass(pass: pass, report: report)
        } catch {
            refuse(error, writer, action)
            reader.drain()
            throw error
        }
    }

    private func tellWhatIsHere(_ root: Int32, _ writer: RecordWriter) throws {
        if place.hasContent {
            try writer.byte(TreeReply.index.rawValue)
            try TreeIndex.write(root, to: writer)
        } else {
            try writer.byte(TreeReply.nothing.rawValue)
        }
        try writer.flush()
    }

    /// Says why, as well as it goes: the other side may be gone.
    private func refuse(_ error: any Error, _ writer: RecordWriter, _ action: String) {
        if error is StreamEnded { return }
        let words = "\(TransferFailure.describe(error, action, pool.poolPath))".utf8.prefix(
            TreeFormat.longestMessage)
        try? writer.byte(TreeReply.failed.rawValue)
        try? Array(words).withUnsafeBytes { try writer.counted($0) }
        try? writer.flush()
    }

    /// Removes directories that were moved out of the way. The root's times are the peer's to tell.
    private func empty(_ trash: [String]) throws {
        if trash.isEmpty { return }
        let root = try TreeCopier.open(place.directory)
        defer { close(root) }
        let stat = try FileStat.of(root, place.directory)
        for name in trash { try TreeRemover.remove("\(place.directory)/\(name)") }
        try FileMaker.setTimes(root, stat)
    }

    private func tell(_ report: PassReport) {
        var now = before
        now.entries += report.copied
        now.bytes += report.bytes
        progress(now)
    }

    func flush() async throws { try await place.flush() }
    func install() async throws { try await place.install() }
    func discard() async { await place.discard() }
}
