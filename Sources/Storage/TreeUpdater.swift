import CStorage
import Glibc

/// Brings a copy up to date with its source by the table of what was copied: one walk over the source that
/// looks at every inode and touches only what has changed. Runs while the container stands still, so every
/// system call counts.
final class TreeUpdater: @unchecked Sendable {
    private enum Job {
        /// A directory of the source with what was copied of it (an empty table: all of it is new).
        case directory(SourceDirectory?, name: FileName, stat: FileStat, table: CopiedDirectory)
        /// A large file that has changed: worked on beside the rest of its directory.
        case file(SourceDirectory, name: FileName, stat: FileStat, inPlace: Bool)
    }

    private let source: Int32
    private let target: Int32
    private let trash: Int32
    private let reflinks: Reflinks
    private let lock = Lock()
    private var report = PassReport()
    private var linked: [LinkedName] = []
    private var unchangedLinks: [UInt64: FileName] = [:]
    private var mount: UInt64 = 0

    /// Updates `target`, the copy of `source`; directories that are gone are moved into `trash`, to be
    /// removed when there is time.
    init(source: Int32, target: Int32, trash: Int32, reflinks: Reflinks) {
        self.source = source
        self.target = target
        self.trash = trash
        self.reflinks = reflinks
    }

    /// Walks the source once. The table tells of the new state then, for another pass.
    func update(_ table: CopiedDirectory) throws -> PassReport {
        let clock = ContinuousClock()
        let start = clock.now
        let stat = try FileStat.of(source, ".")
        mount = stat.mount
        let queue = WorkQueue<Job>([.directory(nil, name: .root, stat: stat, table: table)])
        try queue.run(context: { Worker(self) }) { worker, job in
            switch job {
            case .directory(let parent, let name, let stat, let table):
                try worker.updateDirectory(parent, name, stat, table, queue: queue)
            case .file(let directory, let name, let stat, let inPlace):
                let copy = try Self.openDirectory(target, directory.path)
                defer { close(copy) }
                try name.withPointer {
                    try worker.copyFile($0, stat, directory, into: copy, inPlace: inPlace)
                }
                try worker.stamp(directory, copy)
            }
        }
        try LinkedName.apply(
            linked, unchanged: unchangedLinks, source: source, target: target, reflinks: reflinks,
            report: &report)
        report.duration = clock.now - start
        return report
    }

    /// What a worker has of its own.
    private final class Worker {
        private static let largeFile: Int64 = 1 << 20

        private let updater: TreeUpdater
        private var data: DataCopier
        private let attributes = AttributeCopier()
        private let entryBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        private var report = PassReport()

        init(_ updater: TreeUpdater) {
            self.updater = updater
            data = DataCopier(reflinks: updater.reflinks)
        }

        deinit {
            report.bytes = data.bytes
            updater.add(report)
            entryBuffer.deallocate()
        }

        func updateDirectory(
            _ parent: SourceDirectory?, _ name: FileName, _ stat: FileStat, _ table: CopiedDirectory,
            queue: WorkQueue<Job>
        ) throws {
            let directory =
                if let parent { try SourceDirectory(parent, name, stat) } else {
                    try SourceDirectory(root: updater.source, stat)
                }
            let isSame = CopiedEntry(table.stat, isUncertain: false).matches(stat)
            var jobs: [Job] = []
            var copy = LazyDirectory(root: updater.target, path: directory.path)
            defer { copy.close() }
            if isSame {
                try table.update { entry, name in
                    report.entries += 1
                    let moment = FileClock.now()
                    guard let now = try FileStat.find(directory.descriptor, name) else {
                        throw StorageError(
                            .unstable,
                            "\(directory.path.appending(name).text) vanished while its volume should stand still"
                        )
                    }
                    let hasChanged = try updateEntry(
                        name, now, entry, table.directory(entry), directory, &copy, &jobs)
                    guard hasChanged else { return nil }
                    return CopiedEntry(now, isUncertain: FileClock.isUncertainLater(now, at: moment))
                }
            } else {
                try updateNames(table, directory, &copy, &jobs)
                try directory.path.withPointer {
                    try attributes.copy(
                        from: directory.descriptor, to: copy.descriptor(), stat: stat, isNew: false, path: $0)
                }
                report.copied += 1
                table.stat = stat
            }
            queue.add(jobs)
        }

        /// Works on a directory whose own times have changed: names may have come and gone.
        private func updateNames(
            _ table: CopiedDirectory, _ directory: SourceDirectory, _ copy: inout LazyDirectory,
            _ jobs: inout [Job]
        ) throws {
            var known = table.byName()
            var seen: [(name: FileName, stat: FileStat, moment: timespec, entry: CopiedEntry?)] = []
            try forEachEntry(of: directory.descriptor, buffer: entryBuffer, path: directory.path.text) {
                name, type in
                if type == UInt8(DT_SOCK) { return }
                let moment = FileClock.now()
                guard let stat = try FileStat.find(directory.descriptor, name), !stat.isSocket else { return }
                let key = FileName(name)
                seen.append((key, stat, moment, known.removeValue(forKey: key)))
            }
            for (name, entry) in known { try name.withPointer { try remove($0, entry, &copy) } }
            let next = CopiedDirectory()
            for (name, stat, moment, entry) in seen {
                report.entries += 1
                try name.withPointer { name in
                    var below = stat.isDirectory ? CopiedDirectory() : nil
                    var isUncertain = FileClock.isUncertainLater(stat, at: moment)
                    if let entry {
                        if stat.isDirectory, entry.inode == stat.ino, let old = table.directory(entry) {
                            below = old
                        }
                        if try !updateEntry(name, stat, entry, below, directory, &copy, &jobs) {
                            isUncertain = false
                        }
                    } else {
                        try addEntry(name, stat, below, directory, &copy, &jobs)
                    }
                    next.add(name, stat, isUncertain: isUncertain, directory: below)
                }
            }
            table.become(next)
        }

        /// Compares an entry with what was copied of it. Returns whether it was copied again.
        private func updateEntry(
            _ name: UnsafePointer<CChar>, _ stat: FileStat, _ entry: CopiedEntry, _ below: CopiedDirectory?,
            _ directory: SourceDirectory, _ copy: inout LazyDirectory, _ jobs: inout [Job]
        ) throws -> Bool {
            // Inode numbers are given out again: what was a symlink may be a directory now.
            if stat.isDirectory, entry.inode == stat.ino, entry.subdirectory >= 0, let below {
                if entry.isUncertain { below.stat.ctime_nsec = .max }
                if stat.mount == updater.mount {
                    jobs.append(.directory(directory, name: FileName(name), stat: stat, table: below))
                }
                return entry.isUncertain
            }
            if entry.matches(stat) {
                if stat.nlink > 1 && stat.isRegular { updater.addUnchanged(stat.ino, directory, name) }
                return false
            }
            if stat.isRegular && stat.nlink > 1 {
                // All names of this inode come along here, as its change shows under each.
                updater.addLinked(directory, name, stat)
                return true
            }
            if entry.isSameFile(stat) {
                report.copied += 1
                try addFile(name, stat, directory, &copy, &jobs, inPlace: true)
                return true
            }
            try remove(name, entry, &copy)
            try addEntry(name, stat, below, directory, &copy, &jobs)
            try stamp(directory, copy.descriptor())
            return true
        }

        /// Makes an entry that the copy does not have; `below` will tell of a directory's content.
        private func addEntry(
            _ name: UnsafePointer<CChar>, _ stat: FileStat, _ below: CopiedDirectory?,
            _ directory: SourceDirectory,
            _ copy: inout LazyDirectory, _ jobs: inout [Job]
        ) throws {
            report.copied += 1
            if stat.isRegular && stat.nlink > 1 {
                updater.addLinked(directory, name, stat)
                return
            }
            if stat.isRegular {
                try addFile(name, stat, directory, &copy, &jobs, inPlace: false)
                return
            }
            try EntryMaker.make(name, stat, from: directory.descriptor, in: copy.descriptor())
            if let below {
                jobs.append(.directory(directory, name: FileName(name), stat: stat, table: below))
            } else {
                try attributes.copySpecial(
                    from: directory.descriptor, to: copy.descriptor(), name: name, stat: stat)
            }
        }

        private func addFile(
            _ name: UnsafePointer<CChar>, _ stat: FileStat, _ directory: SourceDirectory,
            _ copy: inout LazyDirectory, _ jobs: inout [Job], inPlace: Bool
        ) throws {
            if stat.size >= Self.largeFile {
                jobs.append(.file(directory, name: FileName(name), stat: stat, inPlace: inPlace))
            } else {
                try copyFile(name, stat, directory, into: copy.descriptor(), inPlace: inPlace)
            }
        }

        func copyFile(
            _ name: UnsafePointer<CChar>, _ stat: FileStat, _ directory: SourceDirectory, into copy: Int32,
            inPlace: Bool
        ) throws {
            let file = try FileMaker.openSource(directory.descriptor, name)
            defer { close(file) }
            let made = try FileMaker.openTarget(copy, name, inPlace: inPlace)
            defer { close(made) }
            if inPlace {
                try data.update(made, from: file, stat: stat, path: name)
            } else {
                try data.fill(made, from: file, stat: stat, path: name)
            }
            try attributes.copy(from: file, to: made, stat: stat, isNew: false, path: name)
        }

        /// Removes an entry of the copy: a file at once, a directory by moving it out of the way.
        private func remove(_ name: UnsafePointer<CChar>, _ entry: CopiedEntry, _ copy: inout LazyDirectory)
            throws
        {
            report.removed += 1
            if entry.subdirectory >= 0 {
                try posix(
                    renameat(copy.descriptor(), name, updater.trash, Self.trashName()), "remove",
                    String(cString: name))
            } else {
                try posix(unlinkat(copy.descriptor(), name, 0), "remove", String(cString: name))
            }
        }

        /// A name that nothing in the trash has; an earlier pass has put things there as well.
        private static func trashName() -> String { String(UInt64.random(in: .min ... .max), radix: 16) }

        /// Gives a directory of the copy its times again after a name was made in it.
        func stamp(_ directory: SourceDirectory, _ copy: Int32) throws {
            try FileMaker.setTimes(copy, directory.stat)
        }
    }

    private func add(_ part: PassReport) {
        lock.with {
            report.entries += part.entries
            report.copied += part.copied
            report.removed += part.removed
            report.bytes += part.bytes
        }
    }

    private func addLinked(_ directory: SourceDirectory, _ name: UnsafePointer<CChar>, _ stat: FileStat) {
        lock.with {
            linked.append(
                LinkedName(
                    directory: directory.path, directoryStat: directory.stat, name: FileName(name), stat: stat
                ))
        }
    }

    private func addUnchanged(_ inode: UInt64, _ directory: SourceDirectory, _ name: UnsafePointer<CChar>) {
        lock.with { unchangedLinks[inode] = directory.path.appending(name) }
    }

    /// Opens a directory by its path below another, following no symlink, however long the path is.
    static func openDirectory(_ root: Int32, _ path: FileName) throws -> Int32 {
        var current = try posix(openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open", path.text)
        for part in path.components {
            let next = part.withPointer {
                openat(current, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            }
            let reason = errno
            close(current)
            if next < 0 { throw FileFailure("open", path.text, reason) }
            current = next
        }
        return current
    }
}
