import Glibc
import LinuxSystem

/// Sends a volume as LXD does: rsync, with a small program in the place of its remote shell. One session for each pass.
final class RsyncSender: VolumeSender {
    let volume: Volume
    let method = TransferMethod.rsync
    private let directory: String
    private let features: RsyncFeatures
    private let relay: String
    private let isRunning: Bool

    init(_ source: VolumeSource, directory: String, features: RsyncFeatures, relay: String) {
        volume = source.volume
        isRunning = source.isRunning
        self.directory = directory
        self.features = features
        self.relay = relay
    }

    func send(_ pass: TransferPass, over socket: FileDescriptor) async throws -> PassReport {
        // rsync cuts the command at spaces, and knows descriptors only by number: both are given to it by number.
        let program = try FileDescriptor.open(relay, OpenFlags.path)
        let arguments =
            ["rsync", "-ar", "--devices", "--numeric-ids", "--partial", "--sparse"] + features.arguments
            + ["\(directory)/", "localhost:/tmp/foo", "-e", "/proc/self/fd/4 relay 3"]
        return try await RsyncProgram.run(
            arguments, [3: socket, 4: program], "send \(volume)",
            mayVanish: isRunning && pass.rawValue < TransferPass.last.rawValue)
    }

    func end() async {}
}

/// Receives what LXD's rsync sends.
final class RsyncReceiver: VolumeReceiver {
    let volume: Volume
    private let place: any ReceivingPlace
    private let features: RsyncFeatures
    private let map: IDMap?

    /// `map`: how the peer's files are shifted; they are shifted back before the volume gets its name.
    init(_ volume: Volume, in place: any ReceivingPlace, features: RsyncFeatures, map: IDMap?) {
        self.volume = volume
        self.place = place
        self.features = features
        self.map = map
    }

    var directory: String { place.directory }

    func receive(over socket: FileDescriptor) async throws -> ReceivedPass {
        let arguments =
            ["rsync", "--server", "-vlogDtpre.iLsfx", "--numeric-ids", "--devices", "--partial", "--sparse"]
            + features.arguments + [".", "\(directory)/"]
        let report = try await RsyncProgram.run(
            arguments, [0: socket, 1: socket], "receive \(volume)", mayVanish: true)
        return ReceivedPass(pass: nil, report: report)
    }

    func flush() async throws { try await place.flush() }

    func install() async throws {
        if let map {
            let directory = directory
            do {
                try await Blocking.run { try TreeShift.unshift(directory, by: map) }
            } catch {
                await place.discard()
                throw StorageError.wrapping(error, doing: "cannot receive \(volume)", in: directory)
            }
        }
        try await place.install()
    }

    func discard() async { await place.discard() }
}

/// Runs rsync to its end.
enum RsyncProgram {
    /// Files vanished while they were sent.
    private static let someVanished = ExitStatus.exited(24)

    static func run(
        _ arguments: [String], _ descriptors: [Int32: FileDescriptor], _ action: String, mayVanish: Bool
    ) async throws -> PassReport {
        let start = ContinuousClock.now
        let errors = try FileDescriptor.memory(named: "errors")
        let child: ProcessDescriptor
        do {
            child = try Spawn(
                arguments, environment: environment, fds: descriptors.merging([2: errors]) { own, _ in own },
                directory: "/"
            ).start()
        } catch let error as SystemError where error.errno == ENOENT {
            throw StorageError(
                .unsupported, "cannot \(action): rsync is not installed. Install the package rsync",
                errno: ENOENT)
        }
        // The program's alone now: that it has ended shows at the other end.
        for descriptor in descriptors.values { descriptor.close() }
        let status = try await withTaskCancellationHandler {
            // Not cancellable: a killed child ends.
            try await Task { try await child.waitForExit() }.value
        } onCancel: {
            child.signal(SIGKILL)
        }
        try Task.checkCancellation()
        guard status.isSuccess || mayVanish && status == someVanished else {
            let words = String(decoding: (try? errors.readFromStart(limit: 4096)) ?? [], as: UTF8.self)
            let lines = words.trimmingSpaces.split(separator: "\n").prefix(3).joined(separator: "; ")
            throw StorageError(
                .system, "cannot \(action): rsync \(status)\(lines.isEmpty ? "" : ": \(lines)")")
        }
        var report = PassReport()
        report.duration = start.duration(to: .now)
        return report
    }

    /// Nothing of ours that rsync would heed.
    private static var environment: [String: String] {
        Environment.all.filter { !$0.key.hasPrefix("RSYNC_") }.merging(["LC_ALL": "C.UTF-8"]) { $1 }
    }
}
