import CStorage
import Glibc

/// A snapshot of a `dir` pool between its two passes.
final class DirSnapshotSession: SnapshotSession, @unchecked Sendable {
    let volume: Volume
    let firstPass: PassReport
    private let driver: DirDriver
    private let place: StagingPlace
    private let reflinks: Reflinks
    private let lock = Lock()
    private var work: Work?

    /// What lies between the passes.
    private struct Work {
        let source: Int32
        let target: Int32
        let trash: Int32
        let table: CopiedDirectory

        func close() {
            Glibc.close(source)
            Glibc.close(target)
            Glibc.close(trash)
        }
    }

    private init(
        driver: DirDriver, volume: Volume, place: StagingPlace, reflinks: Reflinks, work: Work,
        firstPass: PassReport
    ) {
        self.driver = driver
        self.volume = volume
        self.place = place
        self.reflinks = reflinks
        self.work = work
        self.firstPass = firstPass
    }

    deinit { work?.close() }

    /// Makes the first pass.
    static func begin(driver: DirDriver, source: Volume, snapshot: Volume) async throws -> DirSnapshotSession
    {
        let place = try StagingPlace(pool: driver.poolPath)
        do {
            return try await driver.blocking("snapshot \(source)") {
                try DirDriver.makeDirectory(place.directory + "/trash", mode: 0o700)
                let from = try TreeCopier.open(driver.directory(of: source))
                var opened = [from]
                do {
                    let target = try TreeCopier.open(place.volume)
                    opened.append(target)
                    let trash = try TreeCopier.open(place.directory + "/trash")
                    opened.append(trash)
                    let reflinks = Reflinks()
                    let copier = TreeCopier(
                        options: .init(isLive: true, keepsTable: true), reflinks: reflinks)
                    let (report, table) = try copier.copy(from, to: target)
                    let work = Work(
                        source: from, target: target, trash: trash, table: table ?? CopiedDirectory())
                    return DirSnapshotSession(
                        driver: driver, volume: snapshot, place: place, reflinks: reflinks, work: work,
                        firstPass: report)
                } catch {
                    for descriptor in opened { close(descriptor) }
                    throw error
                }
            }
        } catch {
            await place.discard()
            throw error
        }
    }

    func update() async throws -> PassReport {
        guard let work = lock.with({ work }) else { throw ended }
        do {
            return try await driver.blocking("update \(volume)") {
                let updater = TreeUpdater(
                    source: work.source, target: work.target, trash: work.trash, reflinks: self.reflinks)
                return try updater.update(work.table)
            }
        } catch {
            await cancel()
            throw error
        }
    }

    func commit() async throws {
        guard let work = takeWork() else { throw ended }
        work.close()
        do {
            try await driver.blocking("keep \(volume)") {
                try self.place.install(as: self.driver.directory(of: self.volume))
            }
        } catch {
            await place.discard()
            throw error
        }
        // What was moved to the trash is removed later: somebody may wait for the snapshot.
        driver.reaper.remove(place)
    }

    func cancel() async {
        guard let work = takeWork() else { return }
        work.close()
        await place.discard()
    }

    private var ended: StorageError { StorageError(.ended, "the work on \(volume) has ended already") }

    private func takeWork() -> Work? {
        lock.with {
            defer { work = nil }
            return work
        }
    }
}
