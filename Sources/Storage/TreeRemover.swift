import CStorage
import Glibc

/// Removes trees with all cores. Never follows a symlink, and never enters anything mounted below: such a
/// mount is an error, and it and the directories above it stay.
package enum TreeRemover {
    /// Removes a directory with all that is in it. One that is not there is fine.
    package static func remove(_ path: String) throws {
        let root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        if root < 0 {
            if errno == ENOENT { return }
            if errno == ENOTDIR || errno == ELOOP {
                try posix(unlink(path), "remove", path)
                return
            }
            throw FileFailure("open", path, errno)
        }
        let removal = Removal(root: root)
        try removal.empty(path)
        try removal.throwFailure()
        if rmdir(path) != 0 && errno != ENOENT { throw FileFailure("remove", path, errno) }
    }
}

/// The removal of one tree: what all its directories share.
private final class Removal: @unchecked Sendable {
    /// Directories deeper than this are moved up to the root: each ancestor stays open, and descriptors are
    /// limited.
    static let deepest = 64

    let root: Int32
    private let lock = Lock()
    private var failure: (any Error)?
    private var movedUp = 0

    init(root: Int32) { self.root = root }

    deinit { close(root) }

    var hasFailed: Bool { lock.with { failure != nil } }

    func note(_ error: any Error) { lock.with { if failure == nil { failure = error } } }

    func throwFailure() throws {
        if let failure = lock.with({ failure }) { throw failure }
    }

    func empty(_ path: String) throws {
        let mount = try FileStat.of(root, path).mount
        let descriptor = try posix(fcntl(root, F_DUPFD_CLOEXEC, 3), "open", path)
        let queue = WorkQueue([
            DoomedDirectory(descriptor: descriptor, parent: nil, name: FileName(path), removal: self)
        ])
        try queue.run(context: { EntryBuffer() }) { buffer, directory in
            queue.add(try directory.removeFiles(buffer: buffer.bytes, mount: mount))
        }
    }

    /// Moves a directory up to the root, and returns its name there.
    func moveUp(_ name: UnsafePointer<CChar>, from directory: Int32) throws -> FileName {
        let number = lock.with {
            movedUp += 1
            return movedUp
        }
        let moved = ".apus-removed-\(getpid())-\(number)"
        try checked(
            cstorage_rename_new_at(directory, name, root, moved), "move up a deep directory",
            String(cString: name))
        return FileName(moved)
    }
}

/// A directory that is being emptied. Those below refer to it; it is removed when the last of them is.
private final class DoomedDirectory: @unchecked Sendable {
    private let descriptor: Int32
    private let parent: DoomedDirectory?
    private let name: FileName
    private let removal: Removal
    private let depth: Int

    init(descriptor: Int32, parent: DoomedDirectory?, name: FileName, removal: Removal) {
        self.descriptor = descriptor
        self.parent = parent
        self.name = name
        self.removal = removal
        depth = parent.map { $0.depth + 1 } ?? 0
    }

    deinit {
        close(descriptor)
        guard let parent, !removal.hasFailed else { return }
        if name.withPointer({ unlinkat(parent.descriptor, $0, AT_REMOVEDIR) }) != 0 && errno != ENOENT {
            removal.note(FileFailure("remove directory", path, errno))
        }
    }

    private var path: String { parent.map { $0.path + "/" + name.text } ?? name.text }

    /// The root's object, which stands for the place directories are moved up to.
    private var top: DoomedDirectory { parent?.top ?? self }

    /// Removes all files in it, and returns the directories found.
    func removeFiles(buffer: UnsafeMutableRawBufferPointer, mount: UInt64) throws -> [DoomedDirectory] {
        var found: [DoomedDirectory] = []
        try forEachEntry(of: descriptor, buffer: buffer, path: path) { name, type in
            if type != UInt8(DT_DIR), try removeFile(name) { return }
            let below = openat(descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            if below < 0 { throw FileFailure("open", path + "/" + String(cString: name), errno) }
            if try FileStat.of(below, path).mount != mount {
                close(below)
                let place = path + "/" + String(cString: name)
                removal.note(
                    StorageError(.system, "cannot remove \(place): something is mounted there", errno: EBUSY))
                return
            }
            if depth + 1 < Removal.deepest {
                found.append(
                    DoomedDirectory(
                        descriptor: below, parent: self, name: FileName(name), removal: removal))
            } else {
                let moved = try removal.moveUp(name, from: descriptor)
                found.append(DoomedDirectory(descriptor: below, parent: top, name: moved, removal: removal))
            }
        }
        return found
    }

    /// Removes what is not a directory. Returns false if it is one.
    private func removeFile(_ name: UnsafePointer<CChar>) throws -> Bool {
        if unlinkat(descriptor, name, 0) == 0 || errno == ENOENT { return true }
        if errno == EISDIR { return false }
        if errno == EPERM, unprotect(name) { return true }
        throw FileFailure("remove", path + "/" + String(cString: name), errno)
    }

    /// Takes the immutable or append-only flag (chattr +i, +a) off this directory and a file, and tries
    /// again.
    private func unprotect(_ name: UnsafePointer<CChar>) -> Bool {
        cstorage_clear_protection(descriptor)
        let file = openat(descriptor, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        if file >= 0 {
            cstorage_clear_protection(file)
            close(file)
        }
        return unlinkat(descriptor, name, 0) == 0
    }
}
