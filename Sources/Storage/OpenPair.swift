import CStorage
import Glibc

/// A directory and its copy, both open. Jobs for what lies below keep it open; the last one closes it.
final class OpenPair: Sendable {
    let source: Int32
    let target: Int32
    /// The directory's path below the root of the copy.
    let path: FileName
    /// The mount the source is on.
    let mount: UInt64

    /// The root of a copy.
    init(duplicating source: Int32, _ target: Int32) throws {
        self.source = try posix(fcntl(source, F_DUPFD_CLOEXEC, 3), "open", "the volume")
        self.target = fcntl(target, F_DUPFD_CLOEXEC, 3)
        path = .root
        mount = try FileStat.of(source, "the volume").mount
    }

    private init(source: Int32, target: Int32, path: FileName, mount: UInt64) {
        self.source = source
        self.target = target
        self.path = path
        self.mount = mount
    }

    /// A directory below another; nil if it is gone and may be.
    convenience init?(_ parent: OpenPair, _ name: FileName, mayVanish: Bool) throws {
        let path = name.withPointer { parent.path.appending($0) }
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        let source = name.withPointer { openat(parent.source, $0, flags) }
        if source < 0 {
            if mayVanish && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) { return nil }
            throw FileFailure("open", path.text, errno)
        }
        let target = name.withPointer { openat(parent.target, $0, flags) }
        if target < 0 {
            let reason = errno
            close(source)
            throw FileFailure("open the copy of", path.text, reason)
        }
        self.init(source: source, target: target, path: path, mount: parent.mount)
    }

    deinit {
        if source >= 0 { close(source) }
        if target >= 0 { close(target) }
    }

    /// The path of an entry, for messages.
    func path(_ name: UnsafePointer<CChar>) -> String { path.appending(name).text }
}

/// A mutex.
final class Lock: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    init() { pthread_mutex_init(mutex, nil) }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    func with<Result>(_ body: () throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }
}
