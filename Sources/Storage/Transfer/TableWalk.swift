import CStorage
import Glibc
import LinuxSystem

/// Finds what has changed where the kernel does not tell: by looking at every inode, with the table of what was sent.
struct TableWalk {
    private let root: SourceDirectory
    private let isLive: Bool
    private let buffer = EntryBuffer()
    private var found: [ChangeWatch.Change] = []

    /// Walks the volume once. The table tells of the new state then.
    static func changes(in root: SourceDirectory, since table: CopiedDirectory, isLive: Bool) throws
        -> [ChangeWatch.Change]
    {
        var walk = TableWalk(root: root, isLive: isLive)
        let top = try SourceDirectory(root: root.descriptor, FileStat.of(root.descriptor, "the volume"))
        var jobs = [(top, table)]
        while let (directory, table) = jobs.popLast() { jobs += try walk.look(directory, table) }
        return walk.found
    }

    private init(root: SourceDirectory, isLive: Bool) {
        self.root = root
        self.isLive = isLive
    }

    private mutating func look(_ directory: SourceDirectory, _ table: CopiedDirectory) throws
        -> [(SourceDirectory, CopiedDirectory)]
    {
        let stat = try FileStat.of(directory.descriptor, directory.path.text)
        guard stat.mount == root.stat.mount else { return [] }
        var names: [FileName: EntryChange] = [:]
        if !CopiedEntry(table.stat, isUncertain: false).matches(stat) { names[FileName(".")] = .content }
        var known = table.byName()
        let next = CopiedDirectory()
        next.stat = stat
        var below: [(SourceDirectory, CopiedDirectory)] = []
        try forEachEntry(of: directory.descriptor, buffer: buffer.bytes, path: directory.path.text) {
            pointer, _ in
            let moment = FileClock.now()
            guard let now = try FileStat.find(directory.descriptor, pointer) else { return }
            let name = FileName(pointer)
            let entry = known.removeValue(forKey: name)
            var subtable = now.isDirectory ? CopiedDirectory() : nil
            let isSame = entry.map { $0.inode == now.ino && $0.mode & FileType.mask == now.type } ?? false
            if !isSame {
                names[name] = .name
            } else if let entry {
                if now.isDirectory {
                    subtable = table.directory(entry) ?? subtable
                } else if !entry.matches(now) || entry.links != now.nlink {
                    names[name] = now.isRegular ? .content : .name
                }
                if now.isRegular && now.nlink > 1 && names[name] != nil { names[name] = [.name, .content] }
            }
            next.add(
                pointer, now, isUncertain: FileClock.isUncertainLater(now, at: moment), directory: subtable)
            if let subtable, let opened = try open(name, now, in: directory) {
                // What is new comes along as a whole, but the table has to know it.
                below.append((opened, subtable))
            }
        }
        for name in known.keys { names[name] = .name }
        table.become(next)
        table.stat = stat
        if !names.isEmpty {
            let (root, path) = (root, directory.path)
            found.append(
                ChangeWatch.Change(path: path, names: names) {
                    guard let place = try? SourceDirectory(below: root, path) else { return nil }
                    return FileDescriptor(owning: fcntl(place.descriptor, F_DUPFD_CLOEXEC, 3))
                })
        }
        return below
    }

    private func open(_ name: FileName, _ stat: FileStat, in directory: SourceDirectory) throws
        -> SourceDirectory?
    {
        do {
            return try SourceDirectory(directory, name, stat)
        } catch let error as FileFailure where isLive && [ENOENT, ENOTDIR, ELOOP].contains(error.errno) {
            return nil
        }
    }
}
