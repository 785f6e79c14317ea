import CStorage
import Glibc

/// What a pass has copied, directory by directory, so that the next one finds what has changed since.
final class CopiedDirectory: @unchecked Sendable {
    /// The directory itself, as it was when it was read.
    var stat = FileStat()
    /// Its entries, in the order they were read.
    private(set) var entries: [CopiedEntry] = []
    /// The directories among them.
    private(set) var subdirectories: [CopiedDirectory] = []
    // Names one after another, each ended by a zero: no allocation for each of ten thousand.
    private var names: [CChar] = []

    /// Notes an entry; a directory gets a table of its own, which is returned.
    @discardableResult
    func add(_ name: UnsafePointer<CChar>, _ stat: FileStat, isUncertain: Bool) -> CopiedDirectory? {
        var entry = CopiedEntry(stat, isUncertain: isUncertain)
        entry.name = UInt32(names.count)
        names.append(contentsOf: UnsafeBufferPointer(start: name, count: strlen(name) + 1))
        var child: CopiedDirectory?
        if stat.isDirectory {
            entry.subdirectory = Int32(subdirectories.count)
            let directory = CopiedDirectory()
            directory.stat = stat
            subdirectories.append(directory)
            child = directory
        }
        entries.append(entry)
        return child
    }

    /// Notes an entry again; a directory keeps the table it has.
    func add(_ name: UnsafePointer<CChar>, _ stat: FileStat, isUncertain: Bool, directory: CopiedDirectory?) {
        var entry = CopiedEntry(stat, isUncertain: isUncertain)
        entry.name = UInt32(names.count)
        names.append(contentsOf: UnsafeBufferPointer(start: name, count: strlen(name) + 1))
        if let directory {
            entry.subdirectory = Int32(subdirectories.count)
            subdirectories.append(directory)
        }
        entries.append(entry)
    }

    /// Calls `body` with all entries and their names. What it returns takes the entry's place, for the next
    /// pass.
    func update(_ body: (CopiedEntry, UnsafePointer<CChar>) throws -> CopiedEntry?) rethrows {
        try names.withUnsafeBufferPointer { names in
            guard let base = names.baseAddress else { return }
            for index in entries.indices {
                let entry = entries[index]
                guard var changed = try body(entry, base + Int(entry.name)) else { continue }
                changed.name = entry.name
                changed.subdirectory = entry.subdirectory
                entries[index] = changed
            }
        }
    }

    /// Takes over what another table says of the same directory.
    func become(_ other: CopiedDirectory) {
        entries = other.entries
        subdirectories = other.subdirectories
        names = other.names
    }

    /// The entries by name, for a directory whose names have changed.
    func byName() -> [FileName: CopiedEntry] {
        var result: [FileName: CopiedEntry] = [:]
        result.reserveCapacity(entries.count)
        names.withUnsafeBufferPointer { names in
            guard let base = names.baseAddress else { return }
            for entry in entries { result[FileName(base + Int(entry.name))] = entry }
        }
        return result
    }

    /// All paths below this directory of a file, by its inode.
    func paths(of inode: UInt64, below path: FileName = .root) -> [FileName] {
        var found: [FileName] = []
        names.withUnsafeBufferPointer { names in
            guard let base = names.baseAddress else { return }
            for entry in entries {
                if entry.inode == inode, entry.mode & FileType.mask == FileType.regular {
                    found.append(path.appending(base + Int(entry.name)))
                } else if let below = directory(entry) {
                    found += below.paths(of: inode, below: path.appending(base + Int(entry.name)))
                }
            }
        }
        return found
    }

    /// The table of a directory among the entries.
    func directory(_ entry: CopiedEntry) -> CopiedDirectory? {
        entry.subdirectory >= 0 ? subdirectories[Int(entry.subdirectory)] : nil
    }
}

/// One line of the table: enough of an inode to see that it, or its content, is another one.
struct CopiedEntry {
    var name: UInt32 = 0
    var subdirectory: Int32 = -1
    let inode: UInt64
    let size: Int64
    let changed: Int64
    let modified: Int64
    let changedNanoseconds: UInt32
    let modifiedNanoseconds: UInt32
    let mode: UInt32
    let links: UInt32
    /// Changed so shortly before it was read that a later change might bear the same time.
    let isUncertain: Bool

    init(_ stat: FileStat, isUncertain: Bool) {
        inode = stat.ino
        size = stat.size
        changed = stat.ctime_sec
        modified = stat.mtime_sec
        changedNanoseconds = stat.ctime_nsec
        modifiedNanoseconds = stat.mtime_nsec
        mode = stat.mode
        links = stat.nlink
        self.isUncertain = isUncertain
    }

    /// Whether an inode is as it was when it was copied.
    func matches(_ stat: FileStat) -> Bool {
        !isUncertain && inode == stat.ino && changed == stat.ctime_sec
            && changedNanoseconds == stat.ctime_nsec
            && size == stat.size && modified == stat.mtime_sec && modifiedNanoseconds == stat.mtime_nsec
            && mode == stat.mode
    }

    /// Whether this is the same file with other content, which is rewritten in place.
    func isSameFile(_ stat: FileStat) -> Bool {
        inode == stat.ino && stat.isRegular && mode & FileType.mask == FileType.regular && links == 1
            && stat.nlink == 1
    }
}

/// The clock that file systems stamp inodes with.
enum FileClock {
    /// Changes within one tick bear the same time. Generous: HZ=100 has ticks of 10 ms.
    private static let tick: Int64 = 20_000_000
    /// Dirty pages are written out within half a minute; see `mayHaveDirtyPages`.
    private static let writeBackAge: Int64 = 600

    static func now() -> timespec {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME_COARSE, &now)
        return now
    }

    /// Whether a change after `now` may bear the time the inode has already.
    static func isUncertain(_ stat: FileStat, at now: timespec) -> Bool {
        let age =
            (Int64(now.tv_sec) - stat.ctime_sec) * 1_000_000_000 + Int64(now.tv_nsec) - Int64(stat.ctime_nsec)
        return age < tick
    }

    /// Whether a file copied just now may have changed without a sign at the next pass.
    static func isUncertainLater(_ stat: FileStat, at now: timespec) -> Bool {
        isUncertain(stat, at: now) || (stat.isRegular && mayHaveDirtyPages(stat, at: now))
    }

    /// Whether pages of a file may be dirty and mapped: stores into such a page change no time until it is
    /// written out.
    static func mayHaveDirtyPages(_ stat: FileStat, at now: timespec) -> Bool {
        Int64(now.tv_sec) - stat.mtime_sec < writeBackAge
    }
}
