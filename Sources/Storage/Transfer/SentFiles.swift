import CStorage
import Glibc
import LinuxSystem

/// What the other side has of files that are written to often: so the next pass sends only their changed blocks, and
/// nothing of those that have not changed.
final class SentFiles {
    private struct Record {
        var path: FileName
        var sums: BlockSums
        var size: Int64
        var changed: (Int64, UInt32)
        var modified: (Int64, UInt32)
        /// Any change since, also by a store into a mapping, shows in the times.
        var isCertain: Bool

        mutating func note(_ stat: FileStat, isCertain: Bool) {
            size = stat.size
            changed = (stat.ctime_sec, stat.ctime_nsec)
            modified = (stat.mtime_sec, stat.mtime_nsec)
            self.isCertain = isCertain
        }

        func isUnchanged(_ stat: FileStat) -> Bool {
            isCertain && size == stat.size && changed == (stat.ctime_sec, stat.ctime_nsec)
                && modified == (stat.mtime_sec, stat.mtime_nsec)
        }
    }

    /// When the first pass began.
    let started = FileClock.now()
    /// Files that are written to, by inode: their sums are noted when they are sent.
    var watched: Set<UInt64> = []
    private let mappingsShow: Bool
    private var records: [UInt64: Record] = [:]
    /// The paths of files sent after the first pass, by inode.
    var names: [UInt64: [FileName]] = [:]
    /// Whether the first pass is over.
    var isLater = false

    /// For the file system of an open file.
    init(root: Int32) { mappingsShow = cstorage_mappings_show(root) == 1 }

    /// Sends a file anew.
    func send(
        _ name: UnsafePointer<CChar>, _ file: Int32, _ stat: FileStat, path: @autoclosure () -> FileName,
        isLive: Bool, to writer: TreeWriter
    ) throws {
        let moment = FileClock.now()
        // Then a later store into a mapping shows in the file's times.
        if isLive && FileClock.mayHaveDirtyPages(stat, at: moment) { _ = cstorage_write_back(file) }
        if isLater { names[stat.ino, default: []].append(path()) }
        var sums = watched.contains(stat.ino) ? BlockSums(size: stat.size) : nil
        try writer.writeFile(name, file, stat, sums: &sums)
        guard let sums else {
            records[stat.ino] = nil
            return
        }
        var record = Record(
            path: path(), sums: sums, size: 0, changed: (0, 0), modified: (0, 0), isCertain: false)
        record.note(stat, isCertain: try isCertain(file, stat, moment, isLive))
        records[stat.ino] = record
    }

    /// Sends what has changed of a file that may have. `wasTold`: the kernel said that it has; else it was only open
    /// for writing.
    func update(
        _ name: UnsafePointer<CChar>, _ file: Int32, _ stat: FileStat, path: FileName, wasTold: Bool,
        isLive: Bool,
        to writer: TreeWriter
    ) throws {
        if var record = records[stat.ino], record.path == path {
            if record.isUnchanged(stat) { return }
            let moment = FileClock.now()
            if isLive { _ = cstorage_write_back(file) }
            try writer.updateFile(name, file, stat, sums: &record.sums)
            record.note(stat, isCertain: try isCertain(file, stat, moment, isLive))
            records[stat.ino] = record
            return
        }
        if !wasTold && isAsInFirstPass(stat) { return }
        watched.insert(stat.ino)
        try send(name, file, stat, path: path, isLive: isLive, to: writer)
    }

    /// Sends what has changed of a file of several names, into the file as it is there: all of it if nothing is known.
    func updateInPlace(
        _ name: UnsafePointer<CChar>, _ file: Int32, _ stat: FileStat, path: FileName, wasTold: Bool,
        isLive: Bool,
        to writer: TreeWriter
    ) throws {
        if records[stat.ino]?.path != path {
            if !wasTold && isAsInFirstPass(stat) { return }
            records[stat.ino] = Record(
                path: path, sums: BlockSums(size: stat.size), size: 0, changed: (0, 0), modified: (0, 0),
                isCertain: false)
        }
        try update(name, file, stat, path: path, wasTold: wasTold, isLive: isLive, to: writer)
    }

    /// Whether a file whose stores show in its times has none of a time since the first pass began.
    private func isAsInFirstPass(_ stat: FileStat) -> Bool {
        guard mappingsShow else { return false }
        let start = Int64(started.tv_sec) * 1_000_000_000 + Int64(started.tv_nsec) - 20_000_000
        return stat.ctime_sec * 1_000_000_000 + Int64(stat.ctime_nsec) < start
            && stat.mtime_sec * 1_000_000_000 + Int64(stat.mtime_nsec) < start
    }

    private func isCertain(_ file: Int32, _ before: FileStat, _ moment: timespec, _ isLive: Bool) throws
        -> Bool
    {
        guard isLive, mappingsShow, !FileClock.isUncertain(before, at: moment) else { return false }
        let after = try FileStat.of(file, "")
        return after.ctime_sec == before.ctime_sec && after.ctime_nsec == before.ctime_nsec
            && after.mtime_sec == before.mtime_sec && after.mtime_nsec == before.mtime_nsec
            && after.size == before.size
    }
}
