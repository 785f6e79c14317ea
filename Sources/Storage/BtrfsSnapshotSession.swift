import CStorage
import Glibc
import LinuxSystem

/// A snapshot of a btrfs pool: there is nothing to copy beforehand.
final class BtrfsSnapshotSession: SnapshotSession, @unchecked Sendable {
    let volume: Volume
    let firstPass: PassReport
    private let driver: BtrfsDriver
    private let source: Volume
    private let place: StagingPlace
    private let lock = Lock()
    private var hasEnded = false

    private init(
        driver: BtrfsDriver, source: Volume, volume: Volume, place: StagingPlace, firstPass: PassReport
    ) {
        self.driver = driver
        self.source = source
        self.volume = volume
        self.place = place
        self.firstPass = firstPass
    }

    /// Writes out what the file system holds in memory.
    static func begin(driver: BtrfsDriver, source: Volume, snapshot: Volume) async throws
        -> BtrfsSnapshotSession
    {
        let place = try StagingPlace(pool: driver.poolPath, content: .nothing)
        var report = PassReport()
        let start = ContinuousClock.now
        do {
            try await driver.plain.blocking("snapshot \(source)") {
                let directory = try Subvolume.open(driver.poolPath)
                try checked(cstorage_sync_file_system(directory.rawValue), "write out", driver.poolPath)
            }
        } catch {
            await place.discard()
            throw error
        }
        report.duration = start.duration(to: .now)
        return BtrfsSnapshotSession(
            driver: driver, source: source, volume: snapshot, place: place, firstPass: report)
    }

    func update() async throws -> PassReport {
        guard !lock.with({ hasEnded }) else { throw ended }
        var report = PassReport()
        let start = ContinuousClock.now
        do {
            try await driver.plain.blocking("update \(volume)") {
                if Subvolume.isOne(self.place.volume) { try Subvolume.destroy(self.place.volume) }
                try Subvolume.snapshot(self.driver.directory(of: self.source), as: self.place.volume)
            }
        } catch {
            await cancel()
            throw error
        }
        report.duration = start.duration(to: .now)
        return report
    }

    func commit() async throws {
        guard takeEnd() else { throw ended }
        do {
            try await driver.plain.blocking("keep \(volume)") {
                try self.driver.install(self.place, as: self.volume)
            }
        } catch {
            await place.discard()
            throw error
        }
    }

    func cancel() async {
        guard takeEnd() else { return }
        await place.discard()
    }

    private var ended: StorageError { StorageError(.ended, "the work on \(volume) has ended already") }

    /// Whether this is the first to end the session.
    private func takeEnd() -> Bool {
        lock.with {
            defer { hasEnded = true }
            return !hasEnded
        }
    }
}
