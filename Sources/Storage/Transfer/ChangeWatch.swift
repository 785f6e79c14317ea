import CStorage
import Glibc
import LinuxSystem
import Synchronization

/// What has changed in the entries of one directory since it was asked last.
struct ChangedDirectory {
    /// By name; "." is the directory itself.
    var names: [FileName: EntryChange] = [:]
}

/// How an entry has changed.
struct EntryChange: OptionSet {
    let rawValue: UInt32
    /// The name was made, removed or renamed.
    static let name = EntryChange(rawValue: cstorage_change_name.rawValue)
    /// Data or attributes.
    static let content = EntryChange(rawValue: cstorage_change_content.rawValue)
    /// Open for writing up to now, perhaps mapped; what else happened was told.
    static let closed = EntryChange(rawValue: cstorage_change_closed.rawValue)
}

/// Knows what changes in a volume, from the kernel (fanotify), without looking at its files. Stores into shared
/// mappings are not told, until the file is closed; see `OpenFiles`.
final class ChangeWatch: @unchecked Sendable {
    private struct Handle: Hashable {
        let type: Int32
        let bytes: [UInt8]
    }

    /// Directories of others that are remembered: a busy host has many.
    private static let mostStrangers = 50_000

    private let watch: FileDescriptor
    private let root: Int32
    /// The volume's own path as the kernel writes it.
    private let rootPath: [UInt8]
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
    private let lock = Lock()
    private var strangers: Set<Handle> = []
    private var changes: [Handle: ChangedDirectory] = [:]
    private let hasOverflown = Atomic(false)
    private var reading: Task<Void, Never>?

    /// Watches the file system of a volume; nil where that cannot be done (a network's file system, an old kernel).
    /// `places`: directories of it, one of which will do.
    init?(root: Int32, of places: [Int32]) {
        var descriptor: Int32 = -1
        for place in places where descriptor < 0 { descriptor = cstorage_watch(place) }
        guard descriptor >= 0, let path = Self.path(of: root) else {
            if descriptor >= 0 { close(descriptor) }
            return nil
        }
        watch = FileDescriptor(owning: descriptor)
        self.root = root
        rootPath = path
        // The kernel's list has no end: nothing of it may be missing. So it is read as it grows.
        reading = Task.detached { [weak self, watch] in
            while !Task.isCancelled {
                do { try await watch.readable() } catch { return }
                do {
                    guard let self else { return }
                    self.collect()
                }
                // Some at once: to be woken for each would cost more than all of them. Not many: who takes them has the rest to do.
                do { try await Task.sleep(for: .milliseconds(5)) } catch { return }
            }
        }
    }

    deinit { buffer.deallocate() }

    /// Ends it.
    func end() {
        reading?.cancel()
        lock.with { watch.close() }
    }

    /// What has changed since the last call; nil if notices were lost.
    func take() throws -> [Change]? {
        collect()
        let taken = lock.with {
            defer { changes = [:] }
            return changes
        }
        let told = taken.compactMap { handle, directory -> Change? in
            guard let place = open(handle), let path = pathBelowRoot(place) else { return nil }
            // Opened again when its turn comes: there may be more directories than descriptors.
            return Change(path: path, names: directory.names) { self.open(handle) }
        }
        return hasOverflown.exchange(false, ordering: .acquiringAndReleasing) ? nil : told
    }

    /// A directory of the volume in which something has changed.
    struct Change {
        /// Its path below the volume's root, now.
        let path: FileName
        let names: [FileName: EntryChange]
        /// Opens it; nil if it is gone.
        let open: () throws -> FileDescriptor?
    }

    private func collect() {
        lock.with {
            while watch.isOpen {
                let filled = cstorage_watch_read(watch.rawValue, buffer.baseAddress, buffer.count)
                if filled < 0 { hasOverflown.store(true, ordering: .releasing) }
                if filled <= 0 { return }
                note(filled)
            }
        }
    }

    private func note(_ filled: Int) {
        var offset = 0
        while true {
            var (change, handle, name) = (UInt32(0), cstorage_handle(), UnsafePointer<CChar>?.none)
            let next = cstorage_watch_next(buffer.baseAddress, filled, offset, &change, &handle, &name)
            if next == 0 { return }
            offset = next
            if change & cstorage_change_overflow.rawValue != 0 {
                hasOverflown.store(true, ordering: .releasing)
            }
            guard handle.size > 0, let name, let bytes = handle.bytes else { continue }
            let key = Handle(
                type: handle.type,
                bytes: Array(UnsafeBufferPointer(start: bytes, count: Int(handle.size))))
            if strangers.contains(key) { continue }
            if changes[key] == nil {
                // Asked once for each directory: a rename does not take it out of its volume.
                guard let place = open(key), pathBelowRoot(place) != nil else {
                    if strangers.count >= Self.mostStrangers { strangers = [] }
                    strangers.insert(key)
                    continue
                }
                changes[key] = ChangedDirectory()
            }
            changes[key]?.names[FileName(name), default: []].formUnion(EntryChange(rawValue: change))
        }
    }

    /// Opens a directory; nil if it is gone.
    private func open(_ handle: Handle) -> FileDescriptor? {
        let descriptor = handle.bytes.withUnsafeBufferPointer { bytes in
            var room = cstorage_handle(
                bytes: bytes.baseAddress, size: UInt32(bytes.count), type: handle.type)
            return cstorage_open_directory(root, &room)
        }
        if descriptor >= 0 { return FileDescriptor(owning: descriptor) }
        // Whatever else it is, it does not say that the directory has been removed.
        if descriptor != -ESTALE && descriptor != -ENOENT { hasOverflown.store(true, ordering: .releasing) }
        return nil
    }

    /// The path of a directory below the root; nil if it lies elsewhere, or has been removed.
    private func pathBelowRoot(_ directory: FileDescriptor) -> FileName? {
        guard let status = try? directory.status(), status.st_nlink > 0 else { return nil }
        guard let path = Self.path(of: directory.rawValue) else {
            // Too long for the kernel to write: it may be one of ours.
            hasOverflown.store(true, ordering: .releasing)
            return nil
        }
        guard path.starts(with: rootPath) else { return nil }
        if path.count == rootPath.count { return .root }
        guard path[rootPath.count] == UInt8(ascii: "/") else { return nil }
        return FileName(bytes: path[(rootPath.count + 1)...])
    }

    private static func path(of directory: Int32) -> [UInt8]? {
        let capacity = 4096
        var room = [CChar](repeating: 0, count: capacity)
        let count = readlink("/proc/self/fd/\(directory)", &room, capacity)
        guard count > 0, count < capacity else { return nil }
        return room[..<count].map { UInt8(bitPattern: $0) }
    }
}
