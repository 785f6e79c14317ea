import ApusAPI
import ApusCore
import Foundation
import Testing

@Suite("The database")
struct StoreTests {
    private func filled() throws -> Store {
        let store = try Store(path: nil)
        try store.save(StoragePool(name: "default", driver: "dir"))
        try store.save(StoragePool(name: "second", driver: "dir"))
        try store.save(Profile(name: "default"))
        try store.save(Profile(name: "other"))
        return store
    }

    private func container(_ name: String) -> ContainerRecord {
        var record = ContainerRecord()
        record.name = name
        record.uuid = name
        record.pool = "default"
        record.profiles = ["other", "default"]
        record.config = ["user.a": "ä\"'"]
        record.devices = ["root": ["type": "disk"]]
        record.createdAt = Timestamp(seconds: 1, nanoseconds: 2)
        record.idmap = 1_000_000..<1_065_536
        record.generation = 7
        record.stateful = true
        return record
    }

    @Test("Migrations run once, and the database stays the same when it is opened again")
    func migrations() throws {
        let path = NSTemporaryDirectory() + "apus-test-\(UUID().uuidString).db"
        defer {
            for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
        }
        let first = try Store(path: path)
        let applied = try first.appliedMigrations()
        #expect(!applied.isEmpty)
        #expect(try first.nextGeneration() == 1)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        let second = try Store(path: path)
        #expect(try second.appliedMigrations() == applied)
        #expect(try second.nextGeneration() == 2)
        try second.checkIntegrity()
    }

    @Test("A container comes back as it was written")
    func containers() throws {
        let store = try filled()
        var record = try store.insert(container("c1"))
        #expect(record.id > 0)
        #expect(try store.containers() == [record])
        record.profiles = ["default"]
        record.idmap = nil
        record.generation = nil
        record.name = "c2"
        record.pool = "second"
        try store.update(record)
        #expect(try store.containers() == [record])
        #expect(throws: ServiceError.self) { try store.insert(container("c2")) }
        try store.deleteContainer(record.id)
        #expect(try store.containers().isEmpty)
    }

    @Test("References hold: unknown profiles and pools are refused, snapshots go with their container")
    func references() throws {
        let store = try filled()
        var stranger = container("c1")
        stranger.profiles = ["none"]
        #expect(throws: ServiceError.self) { try store.insert(stranger) }
        stranger.profiles = []
        stranger.pool = "none"
        #expect(throws: ServiceError.self) { try store.insert(stranger) }
        #expect(try store.containers().isEmpty)

        let record = try store.insert(container("c1"))
        var snapshot = SnapshotRecord()
        snapshot.containerID = record.id
        snapshot.name = "s0"
        snapshot.stateful = true
        snapshot.createdAt = .now()
        let inserted = try store.insert(snapshot)
        #expect(try store.snapshots() == [inserted])
        #expect(throws: (any Error).self) { try store.insert(snapshot) }
        try store.renameSnapshot(inserted.id, to: "s1")
        #expect(try store.snapshots().map(\.name) == ["s1"])
        #expect(throws: (any Error).self) { try store.deletePool("default") }
        #expect(throws: (any Error).self) { try store.deleteProfile("other") }
        try store.deleteContainer(record.id)
        #expect(try store.snapshots().isEmpty)
        try store.deleteProfile("other")
        try store.checkIntegrity()
    }

    @Test("Images and aliases")
    func images() throws {
        let store = try filled()
        var image = ImageRecord()
        image.fingerprint = String(repeating: "a", count: 64)
        image.properties = ["os": "Debian"]
        image.source = ImageSource()
        image.uploadedAt = .now()
        try store.insert(image)
        #expect(try store.images() == [image])
        try store.setAlias(ImageAlias(name: "debian/12", target: image.fingerprint))
        #expect(throws: ServiceError.self) { try store.setAlias(ImageAlias(name: "x", target: "none")) }
        try store.renameAlias("debian/12", to: "d")
        #expect(try store.aliases().map(\.name) == ["d"])
        try store.deleteImage(image.fingerprint)
        #expect(try store.aliases().isEmpty)
    }

    @Test("The journal remembers what was begun and not ended")
    func journal() throws {
        let store = try filled()
        let first = try store.begin(JournalEntry(container: "c1", action: "snapshotting", detail: "s0"))
        let second = try store.begin(JournalEntry(container: "c2", action: "creating"))
        try store.end(journal: first)
        #expect(try store.journal().map(\.id) == [second])
        #expect(try store.journal().first?.action == "creating")
    }
}
