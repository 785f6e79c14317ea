import CStorage
import Glibc
import LinuxSystem

/// Sends a volume of a btrfs pool: what it was at one instant as `btrfs send` writes it, then what has changed since
/// entry by entry. (Another snapshot for the last pass would wait for the disk.)
final class BtrfsSender: VolumeSender, @unchecked Sendable {
    let volume: Volume
    let method = TransferMethod.btrfs
    private let driver: BtrfsDriver
    private let parent: Volume?
    private let later: TreeSender

    /// Watches what happens in the volume from now on, as the snapshot is made afterwards.
    init(
        _ source: VolumeSource, of driver: BtrfsDriver, parent: Volume?, _ options: TransferOptions
    ) throws {
        volume = source.volume
        self.driver = driver
        self.parent = parent
        later = try TreeSender(
            source, directory: driver.directory(of: source.volume), pool: driver.poolPath, options)
    }

    func send(_ pass: TransferPass, over socket: FileDescriptor) async throws -> PassReport {
        guard pass == .first else { return try await later.send(pass, over: socket) }
        let action = "send \(volume)"
        let start = ContinuousClock.now
        let place = try StagingPlace(pool: driver.poolPath, content: .nothing)
        do {
            let path = try await standingStill(in: place)
            let base = parent.map { ["-p", driver.directory(of: $0)] } ?? []
            let output = try socket.duplicate()
            try await BtrfsProgram.run(["send", "--quiet"] + base + ["--", path], [1: output], action)
            shutdown(socket.rawValue, Int32(SHUT_WR))
            try await SocketWork.run(socket) { try StreamReply.read(from: socket.rawValue) }
            if later.isRunning { try await Blocking.run { try self.later.adopt(path) } }
        } catch {
            socket.close()
            await place.discard()
            throw TransferFailure.describe(error, "cannot \(action)", driver.poolPath)
        }
        await place.discard()
        var report = PassReport()
        report.duration = start.duration(to: .now)
        return report
    }

    /// The volume itself if nobody writes to it, else a snapshot of it.
    private func standingStill(in place: StagingPlace) async throws -> String {
        let path = driver.directory(of: volume)
        if case .snapshot = volume { return path }
        try await Blocking.run {
            try Subvolume.snapshot(path, as: place.volume)
            try Subvolume.setReadOnly(place.volume, true)
        }
        return place.volume
    }

    func end() async { await later.end() }
}

/// Receives what a `BtrfsSender` sends.
final class BtrfsReceiver: VolumeReceiver, @unchecked Sendable {
    let volume: Volume
    private let driver: BtrfsDriver
    private let place: NewPlace
    private let later: TreeReceiver
    private let group: TransferGroup?
    private var isFirst = true

    init(
        _ volume: Volume, in place: NewPlace, of driver: BtrfsDriver, group: TransferGroup?,
        progress: @escaping TransferProgress.Callback
    ) {
        self.volume = volume
        self.place = place
        self.driver = driver
        self.group = group
        later = TreeReceiver(volume, in: place, of: driver, isFirst: false, progress: progress)
    }

    var directory: String { place.directory }

    func receive(over socket: FileDescriptor) async throws -> ReceivedPass {
        if !isFirst { return try await later.receive(over: socket) }
        isFirst = false
        let action = "receive \(volume)"
        let start = ContinuousClock.now
        let received = try StagingPlace(pool: driver.poolPath, content: .nothing)
        do {
            let input = try socket.duplicate()
            // What is a difference to another volume has to find that one; else the program sees nothing but its place.
            let confined = group == nil ? ["--chroot"] : []
            try await BtrfsProgram.run(
                ["receive", "--quiet", "-e"] + confined + ["--", received.directory], [0: input], action)
            let target = place.directory
            try await Blocking.run { try Self.take(received, as: target) }
            try await SocketWork.run(socket) { try StreamReply.done(to: socket.rawValue) }
        } catch {
            StreamReply.refuse(
                "\(TransferFailure.describe(error, "cannot \(action)", driver.poolPath))", to: socket)
            await received.discard()
            throw TransferFailure.describe(error, "cannot \(action)", driver.poolPath)
        }
        if let group { group.keep(received) } else { await received.discard() }
        var report = PassReport()
        report.duration = start.duration(to: .now)
        return ReceivedPass(pass: .first, report: report)
    }

    /// Makes a writable snapshot of what was received the volume. What was received stays as it is: made writable, it
    /// would no longer be (or, by older kernels, wrongly be) what further differences are applied to.
    private static func take(_ received: StagingPlace, as target: String) throws {
        guard let name = try Files.names(in: received.directory).first else {
            throw MalformedStream("there is no volume in it")
        }
        try Subvolume.destroy(target)
        try Subvolume.snapshot(received.directory + "/" + name, as: target)
    }

    func flush() async throws { try await place.flush() }
    func install() async throws { try await place.install() }
    func discard() async { await place.discard() }
}

/// Volumes that are received one after the other, each as its difference to one before: keeps what is needed for that
/// until all are there.
public final class TransferGroup: @unchecked Sendable {
    private let lock = Lock()
    private var places: [StagingPlace] = []

    /// For the volumes of one container.
    public init() {}

    func keep(_ place: StagingPlace) { lock.with { places.append(place) } }

    /// Gives up what was kept. The received volumes stay.
    public func end() async {
        let kept = lock.with {
            defer { places = [] }
            return places
        }
        for place in kept { await place.discard() }
    }
}
