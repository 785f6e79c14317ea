/// What CRIU measured during a dump.
public struct CRIUDumpStatistics: Sendable, Hashable, Codable {
    /// Microseconds it took to stop all tasks.
    public let freezingTime: UInt32
    /// Microseconds the tasks stood still.
    public let frozenTime: UInt32
    /// Microseconds of collecting memory.
    public let memoryDumpTime: UInt32
    /// Microseconds of writing memory.
    public let memoryWriteTime: UInt32
    /// Memory pages looked at.
    public let pagesScanned: UInt64
    /// Memory pages written.
    public let pagesWritten: UInt64

    /// Reads `stats-dump` in `directory`.
    public init(directory: String) throws(CRIUError) {
        let entry: criu_statistics = try CRIUStatisticsFile.read("\(directory)/stats-dump")
        freezingTime = entry.dump.freezingTime
        frozenTime = entry.dump.frozenTime
        memoryDumpTime = entry.dump.memdumpTime
        memoryWriteTime = entry.dump.memwriteTime
        pagesScanned = entry.dump.pagesScanned
        pagesWritten = entry.dump.pagesWritten + entry.dump.shpagesWritten
    }
}

/// What CRIU measured during a restore.
public struct CRIURestoreStatistics: Sendable, Hashable, Codable {
    /// Microseconds of making processes.
    public let forkingTime: UInt32
    /// Microseconds of the whole restore.
    public let restoreTime: UInt32
    /// Memory pages restored.
    public let pagesRestored: UInt64

    /// Reads `stats-restore` in `directory`.
    public init(directory: String) throws(CRIUError) {
        let entry: criu_statistics = try CRIUStatisticsFile.read("\(directory)/stats-restore")
        forkingTime = entry.restore.forkingTime
        restoreTime = entry.restore.restoreTime
        pagesRestored = entry.restore.pagesRestored
    }
}

private enum CRIUStatisticsFile {
    static func read(_ path: String) throws(CRIUError) -> criu_statistics {
        let image = try CRIUImage(path: path, magic: .statistics)
        guard let first = image.entries.first else {
            throw CRIUError(.badImage, "\(path) holds no entry")
        }
        return try image.decode(first)
    }
}
