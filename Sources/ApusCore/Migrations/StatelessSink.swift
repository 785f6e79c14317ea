import ApusAPI
import FoundationEssentials
import Images
import LinuxSystem
import Migration
import Storage
import SwiftProtobuf

/// Takes in a container without its running state, by LXD's protocol: from Apus, or from LXD.
struct StatelessSink: Sendable {
    let containers: ContainerService
    let arrival: Arrival
    let header: MigrationHeader
    let sockets: MoveSockets
    let control: ControlChannel
    let handle: OperationHandle
    private let figures = MoveFigures()

    init(
        _ containers: ContainerService, _ arrival: Arrival, _ header: MigrationHeader, _ sockets: MoveSockets,
        _ control: ControlChannel, _ handle: OperationHandle
    ) {
        self.containers = containers
        self.arrival = arrival
        self.header = header
        self.sockets = sockets
        self.control = control
        self.handle = handle
    }

    /// Takes it in. On failure nothing of it is left.
    func run() async throws -> [String: JSONValue] {
        do {
            try await withRollback { try await receive($0) }
        } catch {
            try? await control.send(ControlMessages.encode(success: false, ServiceError.text(of: error)))
            throw error
        }
        try await control.send(ControlMessages.encode(success: true))
        figures.set("total_us", figures.elapsed)
        return ["apus_move": figures.json]
    }

    private func receive(_ rollback: Rollback) async throws {
        let choice = try await agree()
        let fs = try await sockets.socket(.fs)
        var arrival = arrival
        arrival.record = try await containers.begin(arrival, rollback)
        let driver = arrival.driver
        for name in header.snapshotNames {
            handle.progress("Receiving snapshot \(name)")
            let volume = Volume.snapshot(container: arrival.record.name, name: name)
            try volume.validate()
            let receiver = try await driver.receiver(volume, options(choice))
            rollback.add {
                await receiver.discard()
                if driver.exists(volume) { try await driver.delete(volume) }
            }
            try await pass(receiver, fs)
            try await receiver.install()
            try await containers.keep(snapshot: name, of: arrival, header)
        }
        handle.progress("Receiving files")
        var options = options(choice)
        options.base = arrival.base
        let volume = Volume.container(arrival.record.name)
        let receiver = try await driver.receiver(volume, options)
        rollback.add {
            await receiver.discard()
            if driver.exists(volume) { try await driver.delete(volume) }
        }
        try await pass(receiver, fs)
        // From a container that runs there are two.
        if header.hasCriu { try await pass(receiver, fs) }
        try await receiver.flush()
        try await receiver.install()
        try await containers.finish(arrival)
    }

    private func options(_ choice: TransferChoice) -> TransferOptions {
        var options = TransferOptions(choice, progress: handle.transferProgress("Receiving files"))
        // LXD's files may lie on its disk as the host's ids; ours always as the container's.
        if !header.hasApusOffer, !header.idmap.isEmpty { options.map = IDMap(header.idmap) }
        return options
    }

    /// Chooses how the files come, and says so.
    private func agree() async throws -> TransferChoice {
        var reply = MigrationHeader()
        reply.fs = .rsync
        if header.hasCriu { reply.criu = header.criu }
        reply.snapshotNames = header.snapshotNames
        reply.snapshots = header.snapshots
        reply.predump = false
        reply.refresh = false
        let choice = try await containers.choice(arrival, header)
        if header.hasApusOffer {
            reply.apusAnswer.version = ControlMessages.version
            reply.apusAnswer.transfer = try JSONEncoder().encode(choice)
        } else if let rsync = choice.rsync {
            reply.rsyncFeatures = rsync.message
        }
        try await control.send(ControlMessages.encode(reply))
        return choice
    }

    private func pass(_ receiver: any VolumeReceiver, _ fs: any MessageSocket) async throws {
        let report = try await MoveStream.through(
            fs, count: { [figures] in figures.add("files_received", $0) }
        ) {
            try await receiver.receive(over: $0)
        }.report
        figures.pass(bytes: report.bytes, entries: report.copied, isLast: false)
    }
}

extension ContainerService {
    /// How the files of a container without running state come here.
    func choice(_ arrival: Arrival, _ header: MigrationHeader) async throws -> TransferChoice {
        let ability = try await arrival.driver.transferAbility(of: nil, shared: false)
        let offer: TransferOffer
        if header.hasApusOffer {
            guard let theirs = try? JSONDecoder().decode(TransferOffer.self, from: header.apusOffer.transfer)
            else {
                throw MigrationError(.protocolViolation, "the other host did not say how it can send files")
            }
            offer = theirs
        } else {
            guard header.fs == .rsync else {
                throw MigrationError(
                    .refused, "this host takes in files by rsync; set the other host's pool so")
            }
            offer = TransferOffer(
                methods: [.rsync], rsync: header.hasRsyncFeatures ? RsyncFeatures(header.rsyncFeatures) : nil)
        }
        guard let choice = TransferNegotiation.choose(offer, ability) else {
            throw MigrationError(
                .refused, "the two hosts have no way in common to send its files; install rsync on both")
        }
        return choice
    }

    /// The files of a container without running state have come: it is complete.
    func finish(_ arrival: Arrival) async throws {
        let record = arrival.record
        try await applyRootSize(record)
        try await applyTemplates(
            record, event: .copy, volume: arrival.driver.directory(of: .container(record.name)))
        tell("instance-created", record.name)
    }
}

extension IDMap {
    /// From LXD's words.
    fileprivate init(_ entries: [Migration_IDMapType]) {
        func ranges(_ wanted: (Migration_IDMapType) -> Bool) -> [IDMapEntry] {
            entries.filter(wanted).compactMap { entry in
                guard entry.nsid >= 0, entry.hostid >= 0, entry.maprange > 0 else { return nil }
                return IDMapEntry(
                    inside: UInt32(entry.nsid), outside: UInt32(entry.hostid), count: UInt32(entry.maprange))
            }
        }
        self.init(users: ranges(\.isuid), groups: ranges(\.isgid))
    }
}
