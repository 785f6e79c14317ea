import CStorage
import Glibc

/// Copies a tree into an empty directory, with all cores, in this process.
///
/// Owner, mode, times to the nanosecond, extended attributes, hard links, symlinks, devices, fifos and holes
/// are kept; sockets are left out: they belong to a process. It never follows a symlink and never enters
/// another mount.
final class TreeCopier: @unchecked Sendable {
    /// How a pass is made.
    struct Options: Sendable {
        /// Something may still write to the source: entries may vanish, and dirty pages are written out
        /// first, so that a later store into a mapping shows in the file's times.
        var isLive = false
        /// Keep a table of what was copied.
        var keepsTable = false
    }

    private struct Job {
        let parent: OpenPair?
        let name: FileName
        let stat: FileStat
        let table: CopiedDirectory?
    }

    let options: Options
    let reflinks: Reflinks
    private let started = FileClock.now()
    private let links = HardLinks()
    private let lock = Lock()
    private var report = PassReport()

    init(options: Options = Options(), reflinks: Reflinks = Reflinks()) {
        self.options = options
        self.reflinks = reflinks
    }

    /// Copies what is in `source` into `target`, both open directories, and gives `target` the attributes of
    /// `source`. `path` names the target's directory below the root of the whole copy, for hard links and
    /// messages.
    func copy(_ source: Int32, to target: Int32) throws -> (PassReport, CopiedDirectory?) {
        let clock = ContinuousClock()
        let start = clock.now
        let stat = try FileStat.of(source, ".")
        let table = options.keepsTable ? CopiedDirectory() : nil
        table?.stat = stat
        let root = try OpenPair(duplicating: source, target)
        let queue = WorkQueue([Job(parent: root, name: .root, stat: stat, table: table)])
        try queue.run(context: { Worker(copier: self) }) { worker, job in
            try worker.copyDirectory(job, root: root, queue: queue)
        }
        report.duration = clock.now - start
        return (report, table)
    }

    /// Copies a directory into another, empty one.
    static func copy(_ source: String, to target: String) throws -> PassReport {
        let from = try open(source)
        defer { close(from) }
        let to = try open(target)
        defer { close(to) }
        return try TreeCopier().copy(from, to: to).0
    }

    /// Opens the directory at the top of a tree.
    static func open(_ path: String) throws -> Int32 {
        try posix(Glibc.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), "open", path)
    }

    /// What a worker has of its own.
    private final class Worker {
        let copier: TreeCopier
        private var data: DataCopier
        private let attributes = AttributeCopier()
        private let entryBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        private var report = PassReport()

        init(copier: TreeCopier) {
            self.copier = copier
            data = DataCopier(reflinks: copier.reflinks)
        }

        deinit {
            report.bytes = data.bytes
            copier.add(report)
            entryBuffer.deallocate()
        }

        func copyDirectory(_ job: Job, root: OpenPair, queue: WorkQueue<Job>) throws {
            guard let parent = job.parent else { return }
            let pair: OpenPair
            if job.name.isEmpty {
                pair = parent
            } else {
                guard let opened = try OpenPair(parent, job.name, mayVanish: copier.options.isLive) else {
                    return
                }
                pair = opened
            }
            // What is mounted over a directory is not of this volume; the empty directory is.
            let isMounted = try FileStat.of(pair.source, pair.path.text).mount != root.mount
            var found: [Job] = []
            if !isMounted {
                try forEachEntry(of: pair.source, buffer: entryBuffer, path: pair.path.text) { name, type in
                    report.entries += 1
                    if type == UInt8(DT_SOCK) { return }
                    let now = FileClock.now()
                    guard
                        let stat = try copyEntry(
                            name, isFile: type == UInt8(DT_REG), pair: pair, root: root, now: now)
                    else { return }
                    report.copied += 1
                    // A file of several names may have been copied under another one, any time since the
                    // start.
                    let copied = stat.isRegular && stat.nlink > 1 ? copier.started : now
                    let table = job.table?.add(
                        name, stat, isUncertain: FileClock.isUncertain(stat, at: copied))
                    if stat.isDirectory {
                        found.append(Job(parent: pair, name: FileName(name), stat: stat, table: table))
                    }
                }
            }
            try pair.path.withPointer {
                try attributes.copy(from: pair.source, to: pair.target, stat: job.stat, isNew: true, path: $0)
            }
            queue.add(found)
        }

        /// Copies one entry (of a directory only the entry itself). Returns its stat, nil if there is nothing
        /// to copy.
        private func copyEntry(
            _ name: UnsafePointer<CChar>, isFile: Bool, pair: OpenPair, root: OpenPair, now: timespec
        ) throws -> FileStat? {
            if isFile {
                let file = openat(
                    pair.source, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
                if file < 0 {
                    if copier.options.isLive && (errno == ENOENT || errno == ELOOP || errno == ENXIO) {
                        return nil
                    }
                    throw FileFailure("open", pair.path(name), errno)
                }
                defer { close(file) }
                let stat = try FileStat.of(file, pair.path(name))
                guard stat.isRegular else { return nil }
                try copyFile(file, stat, name: name, pair: pair, root: root, now: now)
                return stat
            }
            guard let stat = try FileStat.find(pair.source, name), !stat.isSocket else { return nil }
            if stat.isRegular {
                // A file system that does not tell types while reading directories.
                return try copyEntry(name, isFile: true, pair: pair, root: root, now: now)
            }
            try EntryMaker.make(name, stat, from: pair.source, in: pair.target)
            if !stat.isDirectory {
                try attributes.copySpecial(from: pair.source, to: pair.target, name: name, stat: stat)
            }
            return stat
        }

        private func copyFile(
            _ file: Int32, _ stat: FileStat, name: UnsafePointer<CChar>, pair: OpenPair, root: OpenPair,
            now: timespec
        ) throws {
            let make = { () throws -> Int32 in
                let target = openat(
                    pair.target, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
                return try posix(target, "create", pair.path(name))
            }
            let target: Int32
            if stat.nlink > 1 {
                guard
                    let made = try copier.links.makeOrLink(
                        stat.ino, pair.path.appending(name), root: root.target, directory: pair.target,
                        name: name, make)
                else { return }
                target = made
            } else {
                target = try make()
            }
            defer { close(target) }
            if copier.options.isLive && FileClock.mayHaveDirtyPages(stat, at: now) {
                _ = cstorage_write_back(file)
            }
            try data.fill(target, from: file, stat: stat, path: name)
            try attributes.copy(from: file, to: target, stat: stat, isNew: true, path: name)
        }
    }

    private func add(_ part: PassReport) {
        lock.with {
            report.entries += part.entries
            report.copied += part.copied
            report.bytes += part.bytes
        }
    }
}

/// Makes entries that have no content to copy.
enum EntryMaker {
    /// Makes a directory (still without attributes), symlink, fifo or device like the one in `source`.
    static func make(
        _ name: UnsafePointer<CChar>, _ stat: FileStat, from source: Int32, in target: Int32
    ) throws {
        switch stat.type {
        case FileType.directory:
            try posix(mkdirat(target, name, 0o700), "make directory", String(cString: name))
        case FileType.symlink:
            try withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX) + 1) { room in
                guard let base = room.baseAddress else { return }
                let length = readlinkat(source, name, base, Int(PATH_MAX))
                if length < 0 { throw FileFailure("read link", String(cString: name), errno) }
                base[length] = 0
                try posix(symlinkat(base, target, name), "make symlink", String(cString: name))
            }
        default:
            try posix(
                mknodat(target, name, mode_t(stat.type) | 0o600, dev_t(stat.rdev)), "make special file",
                String(cString: name))
        }
    }
}
