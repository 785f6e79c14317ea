import ApusAPI
import ContainerRuntime
import FoundationEssentials
import LinuxSystem
import Migration
import Storage
import SwiftProtobuf

/// Sends a container without its running state to another host, by LXD's protocol: to Apus, or to LXD.
struct StatelessSource: Sendable {
    let containers: ContainerService
    let name: String
    /// The snapshot that is sent in the container's place.
    let snapshot: String?
    let post: InstancePost
    let sockets: MoveSockets
    let handle: OperationHandle
    private let figures = MoveFigures()

    init(
        _ containers: ContainerService, _ name: String, _ post: InstancePost, _ sockets: MoveSockets,
        _ handle: OperationHandle, snapshot: String? = nil
    ) {
        self.snapshot = snapshot
        self.containers = containers
        self.name = name
        self.post = post
        self.sockets = sockets
        self.handle = handle
    }

    /// Sends it. Returns when the other host has it.
    func run() async throws -> [String: JSONValue] {
        handle.progress("Connecting")
        let control = ControlChannel(try await sockets.socket(.control))
        do {
            try await send(control)
        } catch {
            try? await control.send(ControlMessages.encode(success: false, ServiceError.text(of: error)))
            throw error
        }
        let last = try await control.next(MigrationControl.self)
        guard last.success else {
            throw ServiceError.failure("cannot copy \(name): the other host says: \(last.message)")
        }
        figures.set("total_us", figures.elapsed)
        return ["apus_move": figures.json]
    }

    private func send(_ control: ControlChannel) async throws {
        let parcel = try await containers.parcel(name, snapshot, post)
        try await control.send(ControlMessages.encode(parcel.header))
        let reply = try await firstReply(control)
        let choice = try choice(reply, parcel.offer)
        let fs = try await sockets.socket(.fs)
        for (index, snapshot) in parcel.snapshots.enumerated() {
            handle.progress("Sending snapshots", percent: index * 100 / parcel.snapshots.count)
            let volume = Volume.snapshot(container: name, name: snapshot)
            let sender = try await parcel.driver.sender(VolumeSource(volume), TransferOptions(choice))
            try await sender.ending { try await pass(.first, of: sender, over: fs) }
        }
        handle.progress("Sending files")
        let sender = try await parcel.driver.sender(
            parcel.source,
            TransferOptions(choice, progress: handle.transferProgress("Sending files")))
        try await sender.ending {
            try await pass(.first, of: sender, over: fs)
            guard let live = parcel.live else { return }
            // Standing still for the last pass, so that files agree with each other.
            try await live.cgroup.setFrozen(true)
            do {
                try await pass(.last, of: sender, over: fs)
            } catch {
                await live.thaw()
                throw error
            }
            await live.thaw()
        }
    }

    /// The sink's header, or its word that it does not want the container.
    private func firstReply(_ control: ControlChannel) async throws -> MigrationHeader {
        guard let bytes = try await control.next() else {
            throw MigrationError(.connectionLost, "the connection to the other host was lost")
        }
        if let refusal = try? ControlMessages.decode(MigrationControl.self, bytes), !refusal.success,
            !refusal.message.isEmpty
        {
            throw MigrationError(.refused, "the other host says: \(refusal.message)")
        }
        let reply = try ControlMessages.decode(MigrationHeader.self, bytes)
        guard reply.apusAnswer.refusals.isEmpty else {
            throw MigrationError(.refused, reply.apusAnswer.refusals.joined(separator: "; "))
        }
        return reply
    }

    private func choice(_ reply: MigrationHeader, _ offer: TransferOffer) throws -> TransferChoice {
        if reply.hasApusAnswer {
            return try JSONDecoder().decode(TransferChoice.self, from: reply.apusAnswer.transfer)
        }
        guard reply.fs == .rsync, offer.methods.contains(.rsync) else {
            throw MigrationError(
                .refused, "the two hosts have no way in common to send its files; install rsync")
        }
        let theirs = reply.hasRsyncFeatures ? RsyncFeatures(reply.rsyncFeatures) : nil
        return TransferChoice(.rsync, rsync: RsyncFeatures.agreed(.all, theirs))
    }

    private func pass(_ pass: TransferPass, of sender: any VolumeSender, over fs: any MessageSocket)
        async throws
    {
        try Task.checkCancellation()
        let report = try await MoveStream.through(fs, count: { [figures] in figures.add("files_sent", $0) }) {
            try await sender.send(pass, over: $0)
        }
        figures.pass(bytes: report.bytes, entries: report.copied, isLast: pass == .last)
    }
}

/// What a container without its running state is sent as.
struct Parcel: Sendable {
    var header: MigrationHeader
    var offer: TransferOffer
    var driver: any StorageDriver
    /// Its files.
    var source: VolumeSource
    var snapshots: [String]
    /// The container, if it runs (and is not frozen by a user).
    var live: LiveContainer?
}

extension ContainerService {
    /// Puts together what is sent of a container.
    /// - Parameter snapshot: the one that is sent in the container's place.
    func parcel(_ name: String, _ snapshot: String?, _ post: InstancePost) async throws -> Parcel {
        let entry = try entry(name)
        let leavesOut = post.containerOnly || post.instanceOnly || snapshot != nil
        let snapshots = leavesOut ? [] : entry.snapshots
        let driver = try pools.driver(entry.record.pool)
        let volume = snapshot.map { Volume.snapshot(container: name, name: $0) } ?? .container(name)
        let offer = TransferNegotiation.offer(try await driver.transferAbility(of: volume, shared: false))
        let live = entry.record.frozen || snapshot != nil ? nil : entry.live
        var header = MigrationHeader()
        header.fs = .rsync
        if live != nil { header.criu = .none }
        header.snapshotNames = snapshots.map(\.name)
        header.snapshots = snapshots.map(\.message)
        header.predump = false
        if let rsync = offer.rsync { header.rsyncFeatures = rsync.message }
        header.apusOffer = try .with {
            $0.version = ControlMessages.version
            $0.moveID = RandomID.uuid()
            $0.secret = ""
            $0.live = false
            $0.instance = try APIJSON.encode(entry.instance(expanded(entry.record)))
            $0.transfer = try JSONEncoder().encode(offer)
        }
        let source = snapshot == nil ? VolumeSource(container: name, live) : VolumeSource(volume)
        return Parcel(
            header: header, offer: offer, driver: driver, source: source,
            snapshots: snapshots.map(\.name), live: live)
    }
}

extension RsyncFeatures {
    /// From LXD's words.
    init(_ message: Migration_rsyncFeatures) {
        self.init(
            xattrs: message.xattrs, delete: message.delete, compress: message.compress,
            bidirectional: message.bidirectional)
    }

    /// In LXD's words.
    var message: Migration_rsyncFeatures {
        .with {
            $0.xattrs = xattrs
            $0.delete = delete
            $0.compress = compress
            $0.bidirectional = bidirectional
        }
    }
}
