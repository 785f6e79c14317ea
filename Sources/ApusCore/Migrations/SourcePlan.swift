import ApusAPI
import Certificates
import Checkpoint
import ContainerRuntime
import FoundationEssentials
import LinuxSystem
import Migration
import Networking
import Storage
import SwiftProtobuf

/// What the source of a live move knows when it begins.
struct SourcePlan: Sendable {
    /// Names the move on both hosts.
    var id: String
    /// Only the two ends know it.
    var secret: String
    /// The container.
    var name: String
    /// It, running; nil if it has ended since.
    var live: LiveContainer?
    /// Its pool.
    var driver: any StorageDriver
    /// The snapshots that go with it, oldest first.
    var snapshots: [String]
    /// Whether it is deleted here at the end.
    var deletes: Bool
    /// What is sent first.
    var header: MigrationHeader
    /// Why memory is to move as the header says.
    var memoryReason = ""
    /// Where the sink can be asked, if that is known from a former life of the daemon.
    var peer: MovePeerAddress?
    /// When it began.
    var startedAt: Timestamp

    /// The move as the database keeps it.
    func record(_ state: SourceJournal, peer: MovePeerAddress) -> MoveRecord {
        MoveRecord(
            id: id, role: .source(state), container: name, secret: secret, peer: peer, deletes: deletes,
            startedAt: startedAt)
    }

    /// How memory moves; a sink that wants what was not offered does not get it.
    func memory(_ answer: MoveAnswer) -> MoveMemory {
        header.apusOffer.memoryMode == MoveMemory.stopCopy.rawValue
            ? .stopCopy : MoveMemory(rawValue: answer.memoryMode) ?? .stopCopy
    }
}

extension ContainerService {
    /// Puts together what a live move begins with.
    func sourcePlan(_ name: String, _ post: InstancePost, _ memory: MemoryWish) async throws -> SourcePlan {
        let entry = try entry(name)
        let driver = try pools.driver(entry.record.pool)
        let withoutSnapshots = post.containerOnly || post.instanceOnly
        let snapshots = withoutSnapshots ? [] : entry.snapshots
        var offer = MoveOffer()
        offer.version = ControlMessages.version
        offer.moveID = RandomID.uuid()
        offer.secret = RandomID.secret()
        offer.live = true
        offer.move = post.apusMove
        offer.memoryMode = memory.mode
        offer.instance = try APIJSON.encode(instanceToMove(entry))
        let checkpointer = try await context.checkpoints.checkpointer()
        offer.compatibility = try JSONEncoder().encode(checkpointer.compatibility)
        offer.transfer = try JSONEncoder().encode(
            TransferNegotiation.offer(
                try await driver.transferAbility(of: .container(name), shared: false)))
        offer.memoryBytes = entry.live.flatMap { UInt64(exactly: StateReader.memory($0)) } ?? 0
        offer.addresses = ownURLs
        offer.certificate = trust.identity.certificate.pem
        offer.networks = await moveNetworks(entry)
        offer.statefulSnapshots = snapshots.filter(\.stateful).map(\.name)
        var header = MigrationHeader()
        header.fs = .rsync
        header.criu = .criuRsync
        header.snapshotNames = snapshots.map(\.name)
        header.snapshots = snapshots.map(\.message)
        header.apusOffer = offer
        return SourcePlan(
            id: offer.moveID, secret: offer.secret, name: name, live: entry.live, driver: driver,
            snapshots: snapshots.map(\.name), deletes: post.apusMove, header: header,
            memoryReason: memory.reason, startedAt: .now())
    }

    /// The container as the other host is to have it.
    private func instanceToMove(_ entry: ContainerEntry) -> Instance {
        var instance = entry.instance(expanded(entry.record))
        // A name on this host's side is for the other host to choose.
        instance.config = instance.config.filter {
            !$0.key.hasSuffix(".host_name") || !$0.key.hasPrefix("volatile.")
        }
        return instance
    }

    /// The networks of a running container's interfaces, and its addresses there.
    private func moveNetworks(_ entry: ContainerEntry) async -> [Migration_ApusNetwork] {
        guard let live = entry.live else { return [] }
        let state = StateReader.state(entry)
        var result: [Migration_ApusNetwork] = []
        for (device, one) in live.devices.all.sorted(by: { $0.key < $1.key }) {
            for interface in one.contribution.interfaces {
                guard let bridge = interface.bridge else { continue }
                var network = Migration_ApusNetwork()
                network.device = device
                network.network = bridge
                network.subnets = await networks.subnets(of: bridge).map(\.network)
                network.addresses =
                    state.network?[interface.name]?.addresses.filter { $0.scope == "global" }.map(\.address)
                    ?? []
                result.append(network)
            }
        }
        return result
    }
}

extension SnapshotRecord {
    /// The snapshot in the words of LXD's protocol.
    var message: Migration_Snapshot {
        .with {
            $0.name = name
            $0.localConfig = config.sorted { $0.key < $1.key }.map { key, value in
                .with {
                    $0.key = key
                    $0.value = value
                }
            }
            $0.profiles = profiles
            $0.ephemeral = ephemeral
            $0.localDevices = devices.sorted { $0.key < $1.key }.map { name, device in
                .with {
                    $0.name = name
                    $0.config = device.sorted { $0.key < $1.key }.map { key, value in
                        .with {
                            $0.key = key
                            $0.value = value
                        }
                    }
                }
            }
            $0.architecture = LXDArchitecture.number(architecture)
            $0.stateful = stateful
            $0.creationDate = createdAt.seconds
            $0.lastUsedDate = lastUsedAt == .zero ? 0 : lastUsedAt.seconds
            $0.expiryDate = expiresAt == .zero ? 0 : expiresAt.seconds
        }
    }

    /// A snapshot in the words of LXD's protocol, for a container of this host.
    init(_ message: Migration_Snapshot, of container: ContainerRecord) {
        self.init()
        name = message.name
        containerID = container.id
        createdAt = Timestamp(seconds: message.creationDate)
        expiresAt = message.expiryDate > 0 ? Timestamp(seconds: message.expiryDate) : .zero
        lastUsedAt = message.lastUsedDate > 0 ? Timestamp(seconds: message.lastUsedDate) : .zero
        architecture = container.architecture
        ephemeral = message.ephemeral
        config = Dictionary(message.localConfig.map { ($0.key, $0.value) }) { $1 }.filter {
            !$0.key.hasPrefix("volatile.")
        }
        devices = Dictionary(
            message.localDevices.map { device in
                (device.name, Dictionary(device.config.map { ($0.key, $0.value) }) { $1 })
            }
        ) { $1 }
        profiles = message.profiles
        (expandedConfig, expandedDevices) = (config, devices)
    }
}

/// Architectures by LXD's numbers.
enum LXDArchitecture {
    private static let numbers: [String: Int32] = [
        "i686": 1, "x86_64": 2, "armv7l": 3, "aarch64": 4, "ppc": 5, "ppc64": 6, "ppc64le": 7, "s390x": 8,
        "mips": 9, "mips64": 10, "riscv32": 11, "riscv64": 12,
    ]

    /// The number; 0 for one that LXD does not know.
    static func number(_ name: String) -> Int32 { numbers[name] ?? 0 }
}

extension VolumeSource {
    /// A container's files, and who writes to them.
    init(container name: String, _ live: LiveContainer?) {
        if let initPID = live?.initPID {
            self.init(running: .container(name)) { Proc.tree(from: initPID) }
        } else {
            self.init(.container(name))
        }
    }
}

extension VolumeSender {
    /// Sends what `body` says, and ends the session whatever comes of it.
    func ending(
        isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Void
    ) async throws {
        do {
            try await body()
        } catch {
            await end()
            throw error
        }
        await end()
    }
}
