import CStorage
import Glibc

/// A directory of the source, open as long as a job below needs it.
final class SourceDirectory: Sendable {
    let descriptor: Int32
    let path: FileName
    let stat: FileStat

    init(root: Int32, _ stat: FileStat) throws {
        // Opened anew: a copy would go on reading where the other has ended.
        descriptor = try posix(
            openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open", "the volume")
        path = .root
        self.stat = stat
    }

    private init(owning descriptor: Int32, _ path: FileName, _ stat: FileStat) {
        self.descriptor = descriptor
        self.path = path
        self.stat = stat
    }

    /// A directory that is open already.
    convenience init(duplicating descriptor: Int32, _ path: FileName, _ stat: FileStat) throws {
        let copy = try posix(fcntl(descriptor, F_DUPFD_CLOEXEC, 3), "open", path.text)
        self.init(owning: copy, path, stat)
    }

    /// A directory by its path below another, following no symlink.
    convenience init(below root: SourceDirectory, _ path: FileName) throws {
        let descriptor = try TreeUpdater.openDirectory(root.descriptor, path)
        do {
            self.init(owning: descriptor, path, try FileStat.of(descriptor, path.text))
        } catch {
            close(descriptor)
            throw error
        }
    }

    init(_ parent: SourceDirectory, _ name: FileName, _ stat: FileStat) throws {
        path = name.withPointer { parent.path.appending($0) }
        self.stat = stat
        descriptor = name.withPointer {
            openat(parent.descriptor, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        }
        if descriptor < 0 { throw FileFailure("open", path.text, errno) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }
}

/// A directory of the copy, opened when something in it has to change.
struct LazyDirectory {
    let root: Int32
    let path: FileName
    private var opened: Int32 = -1

    init(root: Int32, path: FileName) {
        self.root = root
        self.path = path
    }

    mutating func descriptor() throws -> Int32 {
        if opened < 0 { opened = try TreeUpdater.openDirectory(root, path) }
        return opened
    }

    func close() { if opened >= 0 { Glibc.close(opened) } }
}
