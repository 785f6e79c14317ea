import CStorage
import Glibc
import LinuxSystem

/// Sends a directory with all that is in it. Never follows a symlink and never enters another mount.
struct TreeScan {
    private struct Job {
        let parent: SourceDirectory
        let name: FileName
        let stat: FileStat
        let table: CopiedDirectory?
        let base: IndexedDirectory?
    }

    let writer: TreeWriter
    /// Something may still write to the files: entries may vanish.
    let isLive: Bool
    /// The files sent so that later only their changes are sent.
    let sent: SentFiles
    /// Files of several names are kept for the end, when all of their names are known.
    var linked: ((_ directory: SourceDirectory, _ name: FileName, _ stat: FileStat) -> Void)?
    private let started = FileClock.now()
    private let buffer = EntryBuffer()

    init(
        writer: TreeWriter, isLive: Bool, sent: SentFiles,
        linked: ((SourceDirectory, FileName, FileStat) -> Void)? = nil
    ) {
        self.writer = writer
        self.isLive = isLive
        self.sent = sent
        self.linked = linked
    }

    /// Sends what is in a directory, and its attributes. `table` gets what was sent; `base` is what the other side has
    /// of it already.
    func run(_ directory: SourceDirectory, table: CopiedDirectory?, base: IndexedDirectory?) throws {
        table?.stat = directory.stat
        var jobs = try send(directory, table, base, mount: directory.stat.mount)
        while let job = jobs.popLast() {
            guard let below = try open(job) else { continue }
            jobs += try send(below, job.table, job.base, mount: directory.stat.mount)
        }
    }

    private func open(_ job: Job) throws -> SourceDirectory? {
        do {
            return try SourceDirectory(job.parent, job.name, job.stat)
        } catch let error as FileFailure where isLive && [ENOENT, ENOTDIR, ELOOP].contains(error.errno) {
            return nil
        }
    }

    private func send(
        _ directory: SourceDirectory, _ table: CopiedDirectory?, _ base: IndexedDirectory?, mount: UInt64
    ) throws -> [Job] {
        try writer.enter(directory.path)
        let stat = try FileStat.of(directory.descriptor, directory.path.text)
        var jobs: [Job] = []
        var gone = base?.entries ?? [:]
        // What is mounted over a directory is not of this volume; the empty directory is.
        if stat.mount == mount {
            try forEachEntry(of: directory.descriptor, buffer: buffer.bytes, path: directory.path.text) {
                name, type in
                let present = base == nil ? nil : gone.removeValue(forKey: FileName(name))
                let now = FileClock.now()
                guard let stat = try sendEntry(name, type, directory, present) else {
                    if present != nil { try writer.remove(name) }
                    return
                }
                let copied = stat.isRegular && stat.nlink > 1 ? started : now
                let below = table?.add(name, stat, isUncertain: FileClock.isUncertain(stat, at: copied))
                if stat.isDirectory {
                    jobs.append(
                        Job(
                            parent: directory, name: FileName(name), stat: stat, table: below,
                            base: present?.directory))
                }
            }
        }
        for name in gone.keys { try name.withPointer { try writer.remove($0) } }
        try writer.writeAttributes(of: directory.descriptor, stat, path: directory.path)
        return jobs
    }

    /// Sends one entry (of a directory only that it is there). Returns its stat, nil if it has vanished.
    private func sendEntry(
        _ name: UnsafePointer<CChar>, _ type: UInt8, _ directory: SourceDirectory, _ base: IndexedEntry?
    ) throws -> FileStat? {
        if type == UInt8(DT_REG) { return try sendFile(name, directory, base) }
        guard let stat = try FileStat.find(directory.descriptor, name) else { return nil }
        // A file system that does not tell types while reading directories.
        if stat.isRegular { return try sendFile(name, directory, base) }
        if stat.isDirectory {
            if let base, base.directory == nil { try writer.remove(name) }
            if base?.directory == nil { try writer.makeDirectory(name) }
            return stat
        }
        if let base, base.matches(stat, in: directory.descriptor, name) { return stat }
        return try writer.writeSpecial(name, in: directory.descriptor, stat) ? stat : nil
    }

    private func sendFile(_ name: UnsafePointer<CChar>, _ directory: SourceDirectory, _ base: IndexedEntry?)
        throws
        -> FileStat?
    {
        guard let file = try SourceFile.open(name, in: directory, mayVanish: isLive) else { return nil }
        let stat = try FileStat.of(file.rawValue, directory.path.appending(name).text)
        guard stat.isRegular else { return nil }
        if stat.nlink > 1 {
            if let linked {
                linked(directory, FileName(name), stat)
                return stat
            }
            if let first = writer.firstName(of: stat.ino, or: directory.path.appending(name)) {
                try writer.writeLink(name, to: first)
                return stat
            }
        } else if let base, base.hasContent(of: stat) {
            if !base.matches(stat, of: file.rawValue) {
                try writer.updateAttributes(name, file.rawValue, stat)
            }
            return stat
        }
        try sent.send(
            name, file.rawValue, stat, path: directory.path.appending(name), isLive: isLive, to: writer)
        return stat
    }
}

/// Opening files of the source.
enum SourceFile {
    /// Opens a file to read it; nil if it is gone, or no file any more, and may be.
    static func open(_ name: UnsafePointer<CChar>, in directory: SourceDirectory, mayVanish: Bool) throws
        -> FileDescriptor?
    {
        let file = openat(
            directory.descriptor, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        if file >= 0 { return FileDescriptor(owning: file) }
        if mayVanish && [ENOENT, ELOOP, ENXIO].contains(errno) { return nil }
        throw FileFailure("open", directory.path.appending(name).text, errno)
    }
}
