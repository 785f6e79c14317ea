import CStorage
import Glibc

/// One name of a changed file that has several. They wait until the walk is over, when all names are known.
struct LinkedName {
    let directory: FileName
    let directoryStat: FileStat
    let name: FileName
    let stat: FileStat

    /// Makes each inode of the list anew under its first name, and links the others to it. One that has
    /// `unchanged` names (its others came along with a renamed directory) is linked to those.
    static func apply(
        _ names: [LinkedName], unchanged: [UInt64: FileName], source: Int32, target: Int32,
        reflinks: Reflinks,
        report: inout PassReport
    ) throws {
        if names.isEmpty { return }
        var data = DataCopier(reflinks: reflinks)
        let attributes = AttributeCopier()
        let links = HardLinks(known: unchanged)
        for entry in names {
            let from = try TreeUpdater.openDirectory(source, entry.directory)
            defer { close(from) }
            let copy = try TreeUpdater.openDirectory(target, entry.directory)
            defer { close(copy) }
            try entry.name.withPointer { name in
                let path = entry.directory.appending(name)
                if unlinkat(copy, name, 0) != 0 && errno != ENOENT {
                    throw FileFailure("remove", path.text, errno)
                }
                let made = try links.makeOrLink(
                    entry.stat.ino, path, root: target, directory: copy, name: name
                ) { try FileMaker.openTarget(copy, name, inPlace: false) }
                if let made {
                    defer { close(made) }
                    let file = try FileMaker.openSource(from, name)
                    defer { close(file) }
                    try data.fill(made, from: file, stat: entry.stat, path: name)
                    try attributes.copy(from: file, to: made, stat: entry.stat, isNew: false, path: name)
                }
            }
            report.copied += 1
            try FileMaker.setTimes(copy, entry.directoryStat)
        }
        report.bytes += data.bytes
    }
}

/// Opens the two ends of a file's copy.
enum FileMaker {
    static func openSource(_ directory: Int32, _ name: UnsafePointer<CChar>) throws -> Int32 {
        try posix(
            openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), "open",
            String(cString: name))
    }

    static func openTarget(_ directory: Int32, _ name: UnsafePointer<CChar>, inPlace: Bool) throws -> Int32 {
        let flags = O_WRONLY | O_NOFOLLOW | O_CLOEXEC | (inPlace ? 0 : O_CREAT | O_EXCL)
        return try posix(
            openat(directory, name, flags, 0o600), inPlace ? "open" : "create", String(cString: name))
    }

    static func setTimes(_ descriptor: Int32, _ stat: FileStat) throws {
        let times = stat.times
        let result = withUnsafePointer(to: times) {
            $0.withMemoryRebound(to: timespec.self, capacity: 2) { futimens(descriptor, $0) }
        }
        try posix(result, "set times", "")
    }
}
