import Glibc
import LinuxSystem
import Storage
import Testing

@Suite("Pools that several hosts have")
struct SharedPoolTests {
    private let volume = Volume.container("c1")

    @Test("The id is made once, and found by whoever has the pool") func id() async throws {
        try await TestPool.with { pool in
            #expect(throws: StorageError.self) { try SharedPool.open(pool.driver.poolPath) }
            let first = try SharedPool.mark(pool.driver.poolPath)
            let second = try SharedPool.mark(pool.driver.poolPath)
            #expect(first.id == second.id)
            #expect(first.id.count == 32)
            #expect(try await pool.driver.transferAbility(of: volume, shared: true).sharedPool == first.id)
            #expect(try await pool.driver.transferAbility(of: volume, shared: false).sharedPool == nil)
            #expect(try await pool.driver.volumes() == [volume])
            // Nothing of another host's is removed.
            try Files.makeDirectories(pool.driver.poolPath + "/staging/theirs")
            #expect(try await pool.driver.removeLeftovers() == [])
            try await pool.driver.deletePool()
            #expect(pool.driver.exists(volume))
            #expect(pool.leftovers == ["theirs"])
        }
    }

    @Test("A volume has one host at a time; who comes late is refused") func owners() async throws {
        try await TestPool.with { pool in
            let shared = try SharedPool.mark(pool.driver.poolPath)
            let mine = try shared.claim(volume, for: "a")
            #expect(try shared.claim(volume, for: "a") == mine)
            #expect(throws: StorageError.self) { try shared.claim(volume, for: "b") }
            #expect(throws: StorageError.self) { try shared.require(volume, belongsTo: "b") }
            let theirs = try shared.handOver(volume, from: mine, to: "b")
            #expect(theirs.epoch == mine.epoch + 1)
            #expect(try shared.owner(of: volume) == theirs)
            // The former host, back from wherever it was.
            #expect(throws: StorageError.self) { try shared.require(volume, belongsTo: "a") }
            #expect(throws: StorageError.self) { try shared.handOver(volume, from: mine, to: "c") }
            #expect(throws: StorageError.self) { try shared.release(volume, by: "a") }
            let back = try shared.handOver(volume, from: theirs, to: "a")
            #expect(back.host == "a")
            // As it was when it was here first, but not the same.
            #expect(throws: StorageError.self) { try shared.handOver(volume, from: mine, to: "b") }
            try shared.release(volume, by: "a")
            #expect(try shared.owner(of: volume) == nil)
        }
    }

    @Test("Of many hosts that take a volume at once, one has it") func race() async throws {
        try await TestPool.with { pool in
            let shared = try SharedPool.mark(pool.driver.poolPath)
            let winners = await withTaskGroup(of: String?.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        try? await Blocking.run { try shared.claim(.container("c1"), for: "h\(number)").host }
                    }
                }
                return await group.reduce(into: [String]()) { if let host = $1 { $0.append(host) } }
            }
            #expect(winners.count == 1)
            #expect(try shared.owner(of: volume)?.host == winners.first)
        }
    }

    @Test("Nothing is sent between two that have the same") func nothing() async throws {
        try await TestPool.with { pool in
            let options = TransferOptions(TransferChoice(.shared))
            let pair = TransferPair(
                sender: try await pool.driver.sender(VolumeSource(volume), options),
                receiver: try await pool.driver.receiver(volume, options))
            #expect(try await pair.pass(.first).sent.bytes == 0)
            #expect(pair.receiver.directory == pool.driver.directory(of: volume))
            try await pair.receiver.install()
            await #expect(throws: StorageError.self) {
                try await pool.driver.receiver(.container("c9"), options)
            }
        }
    }
}

@Suite("Agreeing on how a volume travels")
struct TransferNegotiationTests {
    private func choose(
        _ source: TransferAbility, _ sink: TransferAbility, isNew: Bool = true
    ) -> TransferMethod? {
        TransferNegotiation.choose(TransferNegotiation.offer(source), sink, isNew: isNew)?.method
    }

    private let dir = TransferAbility(driver: "dir", hasRsync: true)
    private let btrfs = TransferAbility(driver: "btrfs", hasRsync: true)

    @Test("The best way that both have") func best() {
        #expect(choose(dir, dir) == .tree)
        #expect(choose(dir, btrfs) == .tree)
        #expect(choose(btrfs, dir) == .tree)
        #expect(choose(btrfs, btrfs) == .btrfs)
        #expect(choose(btrfs, btrfs, isNew: false) == .tree)
        let shared = TransferAbility(driver: "dir", sharedPool: "one", hasRsync: true)
        #expect(choose(shared, shared) == .shared)
        #expect(choose(shared, TransferAbility(driver: "dir", sharedPool: "two", hasRsync: true)) == .tree)
        #expect(choose(shared, dir) == .tree)
    }

    @Test("With an LXD it is rsync, if that is here") func lxd() {
        let choice = TransferNegotiation.choose(.lxd, dir)
        #expect(choice == TransferChoice(.rsync, rsync: .all))
        #expect(TransferNegotiation.choose(.lxd, TransferAbility(driver: "dir", hasRsync: false)) == nil)
        #expect(TransferNegotiation.choose(TransferOffer(methods: []), dir) == nil)
    }

    @Test("rsync does what both ask for; old peers what they did") func features() {
        let some = RsyncFeatures(xattrs: true, delete: false, compress: false, bidirectional: true)
        #expect(RsyncFeatures.agreed(.all, some) == some)
        #expect(RsyncFeatures.agreed(.all, nil) == .none)
        let old = RsyncFeatures(xattrs: false, delete: false, compress: false, bidirectional: false)
        #expect(
            RsyncFeatures.agreed(.all, old)
                == RsyncFeatures(xattrs: true, delete: true, compress: true, bidirectional: false))
    }
}
