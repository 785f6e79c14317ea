import CStorage
import Glibc
import LinuxSystem

/// Sends what has changed since the last pass: only the entries that are named, and what is new below them.
final class TreeDelta {
    private let root: SourceDirectory
    private let writer: TreeWriter
    private let sent: SentFiles
    private let isLive: Bool
    /// What was sent in the first pass: to find another name of a file.
    private let table: CopiedDirectory
    /// Paths that were sent anew with all that is below.
    private var replaced: Set<FileName> = []
    /// Files that were dealt with.
    private var handled: Set<FileName> = []
    /// The names of changed files that have several.
    private var linked: [UInt64: [LinkedPlace]] = [:]

    private struct LinkedPlace {
        let directory: SourceDirectory
        let name: FileName
        let kind: EntryChange
        var path: FileName { directory.path.appending(name) }
    }

    /// A pass of its own.
    init(
        root: SourceDirectory, writer: TreeWriter, sent: SentFiles, isLive: Bool, table: CopiedDirectory
    ) {
        self.root = root
        self.writer = writer
        self.sent = sent
        self.isLive = isLive
        self.table = table
    }

    /// Sends directories' changes, then of the open files those that have changed; `prefix` is where the processes'
    /// root lies below the volume's.
    func run(_ changes: [ChangeWatch.Change], open files: [UInt64: FileName], below prefix: FileName) throws {
        for change in changes.sorted(by: { $0.path < $1.path }) where !isReplaced(change.path) {
            try send(change)
        }
        for (inode, hint) in files { try sendOpenFile(inode, prefix.appending(hint)) }
        try sendLinked()
    }

    // MARK: Directories

    private func send(_ change: ChangeWatch.Change) throws {
        guard let opened = try change.open() else {
            if isLive { return }
            throw StorageError(
                .unstable, "\(change.path.text) vanished while its volume should stand still")
        }
        let stat = try FileStat.of(opened.rawValue, change.path.text)
        let directory = try SourceDirectory(duplicating: opened.rawValue, change.path, stat)
        guard stat.mount == root.stat.mount else { return }
        try writer.enter(change.path)
        var hasNewTimes = false
        for (name, kind) in change.names {
            if name == Self.itself {
                hasNewTimes = true
                continue
            }
            if kind.contains(.name) { hasNewTimes = true }
            try send(name, kind, in: directory)
        }
        if hasNewTimes || writer.hasNewNames { try finish(directory) }
    }

    /// Gives a directory its attributes, after names in it have changed.
    private func finish(_ directory: SourceDirectory) throws {
        try writer.enter(directory.path)
        try writer.writeAttributes(
            of: directory.descriptor, try FileStat.of(directory.descriptor, directory.path.text),
            path: directory.path)
    }

    private func send(_ name: FileName, _ kind: EntryChange, in directory: SourceDirectory) throws {
        let path = directory.path.appending(name)
        handled.insert(path)
        try name.withPointer { pointer in
            guard let stat = try FileStat.find(directory.descriptor, pointer) else {
                try writer.remove(pointer)
                return
            }
            if stat.isDirectory {
                try sendDirectory(name, path, stat, isNew: kind.contains(.name), in: directory)
            } else if stat.isRegular {
                try sendFile(name, path, kind, in: directory)
            } else {
                _ = try writer.writeSpecial(pointer, in: directory.descriptor, stat)
            }
        }
    }

    /// A directory under a new name comes along as a whole: it may be another one.
    private func sendDirectory(
        _ name: FileName, _ path: FileName, _ stat: FileStat, isNew: Bool, in directory: SourceDirectory
    ) throws {
        let below: SourceDirectory
        do {
            below = try SourceDirectory(directory, name, stat)
        } catch let error as FileFailure where isLive && [ENOENT, ENOTDIR, ELOOP].contains(error.errno) {
            return
        }
        if isNew {
            replaced.insert(path)
            try name.withPointer {
                try writer.remove($0)
                try writer.makeDirectory($0)
            }
            let scan = TreeScan(writer: writer, isLive: isLive, sent: sent) { [self] directory, name, stat in
                linked[stat.ino, default: []].append(
                    LinkedPlace(directory: directory, name: name, kind: .name))
            }
            try scan.run(below, table: nil, base: nil)
        } else {
            try writer.enter(path)
            try writer.writeAttributes(of: below.descriptor, stat, path: path)
        }
        try writer.enter(directory.path)
    }

    private func sendFile(
        _ name: FileName, _ path: FileName, _ kind: EntryChange, in directory: SourceDirectory
    ) throws {
        try name.withPointer { pointer in
            guard let file = try SourceFile.open(pointer, in: directory, mayVanish: isLive) else { return }
            let stat = try FileStat.of(file.rawValue, path.text)
            guard stat.isRegular else { return }
            if stat.nlink > 1 {
                linked[stat.ino, default: []].append(
                    LinkedPlace(directory: directory, name: name, kind: kind))
            } else if kind.contains(.name) {
                sent.watched.insert(stat.ino)
                try sent.send(pointer, file.rawValue, stat, path: path, isLive: isLive, to: writer)
            } else {
                try sent.update(
                    pointer, file.rawValue, stat, path: path, wasTold: kind.contains(.content),
                    isLive: isLive,
                    to: writer)
            }
        }
    }

    /// Whether a path, or a directory above, was sent anew.
    private func isReplaced(_ path: FileName) -> Bool {
        if replaced.isEmpty { return false }
        var above = path
        while !above.isEmpty {
            if replaced.contains(above) { return true }
            above = above.split.directory
        }
        return false
    }

    // MARK: Files that are written to without a word

    private func sendOpenFile(_ inode: UInt64, _ hint: FileName) throws {
        guard let (directory, name) = try find(inode, hint) else { return }
        let path = directory.path.appending(name)
        if handled.contains(path) || isReplaced(path) { return }
        try writer.enter(directory.path)
        try sendFile(name, path, .closed, in: directory)
        if writer.hasNewNames { try finish(directory) }
    }

    /// The place of a file of the volume: where it was said to be, or where the first pass has met it.
    private func find(_ inode: UInt64, _ hint: FileName) throws -> (SourceDirectory, FileName)? {
        if let found = try place(of: inode, at: hint) { return found }
        for path in table.paths(of: inode) {
            if let found = try place(of: inode, at: path) { return found }
        }
        return nil
    }

    /// A path, if that file is there.
    private func place(of inode: UInt64, at path: FileName) throws -> (SourceDirectory, FileName)? {
        let (above, name) = path.split
        guard !name.isEmpty, let directory = try? SourceDirectory(below: root, above),
            let stat = try name.withPointer({ try FileStat.find(directory.descriptor, $0) }),
            stat.ino == inode,
            stat.isRegular, stat.mount == root.stat.mount
        else { return nil }
        return (directory, name)
    }

    // MARK: Files of several names

    private func sendLinked() throws {
        var touched: [FileName: SourceDirectory] = [:]
        for (inode, places) in linked {
            let intact = try intactPlace(of: inode, besides: places)
            let rest: [LinkedPlace]
            let target: FileName
            if let intact {
                if places.contains(where: { $0.kind != .name }) { try update(intact, places) }
                target = intact.path
                rest = places.filter { $0.kind.contains(.name) }
            } else {
                guard let first = places.first, try sendAnew(first) else { continue }
                target = first.path
                rest = Array(places.dropFirst())
                touched[first.directory.path] = first.directory
            }
            for place in rest {
                try writer.enter(place.directory.path)
                try place.name.withPointer { try writer.writeLink($0, to: target) }
                touched[place.directory.path] = place.directory
            }
            sent.names[inode, default: []] += places.map(\.path)
        }
        for directory in touched.values { try finish(directory) }
    }

    /// A name under which the other side has the file already: one that is not new.
    private func intactPlace(of inode: UInt64, besides places: [LinkedPlace]) throws -> LinkedPlace? {
        if let place = places.first(where: { !$0.kind.contains(.name) }) { return place }
        let new = Set(places.map(\.path))
        for path in table.paths(of: inode) + (sent.names[inode] ?? []) {
            if new.contains(path) || handled.contains(path) || isReplaced(path) { continue }
            if let (directory, name) = try place(of: inode, at: path) {
                return LinkedPlace(directory: directory, name: name, kind: [])
            }
        }
        return nil
    }

    private func update(_ place: LinkedPlace, _ places: [LinkedPlace]) throws {
        try writer.enter(place.directory.path)
        try place.name.withPointer { name in
            guard let file = try SourceFile.open(name, in: place.directory, mayVanish: isLive) else { return }
            try sent.updateInPlace(
                name, file.rawValue, try FileStat.of(file.rawValue, place.path.text), path: place.path,
                wasTold: places.contains { $0.kind.contains(.content) }, isLive: isLive, to: writer)
        }
    }

    private func sendAnew(_ place: LinkedPlace) throws -> Bool {
        try place.name.withPointer { name in
            guard let file = try SourceFile.open(name, in: place.directory, mayVanish: isLive) else {
                return false
            }
            try writer.enter(place.directory.path)
            try sent.send(
                name, file.rawValue, try FileStat.of(file.rawValue, place.path.text), path: place.path,
                isLive: isLive, to: writer)
            return true
        }
    }

    private static let itself = FileName(".")
}
