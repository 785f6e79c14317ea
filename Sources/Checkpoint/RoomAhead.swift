import Glibc
package import LinuxSystem
import Synchronization

/// Room on the disk for a file that CRIU is writing, reserved ahead of it. Page by page, ext4 else sees whether there is
/// room for one more: a third of the time it takes to save the memory of a large process.
package final class RoomAhead: Sendable {
    private let file: FileDescriptor
    /// Up to where there is room; more than there can ever be where none can be had.
    private let reserved = Mutex<Int64>(0)

    /// Most images are small, and done before anything could be reserved.
    private static let least: Int64 = 8 << 20
    private static let step: Int64 = 128 << 20
    private static let ext4: Int64 = 0xEF53

    /// Nil where it is of no use: other file systems find room when they write to the disk, and for many pages at a time.
    package init?(_ file: FileDescriptor) {
        guard file.fileSystem == Self.ext4 else { return nil }
        self.file = file
    }

    /// Reserves more if what there is comes to its end. Called again and again while the file grows.
    package func reserve() {
        reserved.withLock { reserved in
            guard let size = size(), size >= Self.least, size > reserved - Self.step / 2 else { return }
            let wanted = size + Self.step
            // CRIU cannot write meanwhile: this is not to wait for the processor behind everybody else, as summing up is.
            let which = __priority_which_t(PRIO_PROCESS.rawValue)
            let usual = getpriority(which, 0)
            _ = setpriority(which, 0, -10)
            defer { _ = setpriority(which, 0, usual) }
            // A disk that is nearly full is CRIU's to tell of.
            let isDone = (try? file.reserve(max(size, reserved)..<wanted)) != nil
            reserved = isDone ? wanted : .max
        }
    }

    /// Gives back what was too much, when nobody writes any more.
    package func giveBack() {
        reserved.withLock { reserved in
            if reserved > 0, let size = size() { _ = ftruncate(file.rawValue, off_t(size)) }
            reserved = .max
        }
    }

    private func size() -> Int64? { (try? file.status()).map { Int64($0.st_size) } }
}
