internal import SwiftProtobuf

/// Files that programs watch (inotify, fanotify), as CRIU saves them in `files.img`: by a path where the path leads to
/// the very file, else (a watch on a symlink itself, for one) by a file handle, which is good for one volume only.
public enum CRIUWatches {
    /// How the kernel names a file of a file system without a path.
    public struct Handle: Sendable, Hashable, Codable {
        /// The kind of handle.
        public var type: UInt32
        /// The handle.
        public var bytes: [UInt8]

        /// A handle.
        public init(type: UInt32, bytes: [UInt8]) {
            self.type = type
            self.bytes = bytes
        }
    }

    /// A watched file that is known by its handle alone.
    public struct File: Sendable, Hashable {
        /// The file system's device number, as the kernel writes it for itself: major << 20 | minor.
        public var device: UInt32
        /// The file's inode.
        public var inode: UInt64
        /// Its handle.
        public var handle: Handle
    }

    /// The watched files without a path.
    public static func unnamed(_ image: CRIUImage) throws(CRIUError) -> [File] {
        var result: [File] = []
        for entry in image.entries {
            let file: criu_file = try image.decode(entry)
            for watch in file.inotify.watches where !watch.handle.hasPath {
                result.append(File(device: watch.device, inode: watch.inode, handle: handle(watch.handle)))
            }
            for mark in file.fanotify.marks where mark.hasInode && !mark.inode.handle.hasPath {
                result.append(
                    File(device: mark.device, inode: mark.inode.inode, handle: handle(mark.inode.handle)))
            }
        }
        return result
    }

    /// Puts other inodes and handles in the places of those without a path. `replacement` gets a file and gives what
    /// it is now, or nil to leave it. Nil: nothing has changed, the image stands as it is.
    public static func replace(
        _ image: CRIUImage, _ replacement: (File) -> (inode: UInt64, handle: Handle)?
    ) throws(CRIUError) -> CRIUImage? {
        var changed = image
        var count = 0
        for (index, entry) in image.entries.enumerated() {
            var file: criu_file = try image.decode(entry)
            let before = count
            for number in file.inotify.watches.indices {
                let watch = file.inotify.watches[number]
                let old = File(device: watch.device, inode: watch.inode, handle: handle(watch.handle))
                guard !watch.handle.hasPath, let new = replacement(old) else { continue }
                file.inotify.watches[number].inode = new.inode
                set(&file.inotify.watches[number].handle, new.handle)
                count += 1
            }
            for number in file.fanotify.marks.indices {
                let mark = file.fanotify.marks[number]
                let old = File(
                    device: mark.device, inode: mark.inode.inode, handle: handle(mark.inode.handle))
                guard mark.hasInode, !mark.inode.handle.hasPath, let new = replacement(old) else { continue }
                file.fanotify.marks[number].inode.inode = new.inode
                set(&file.fanotify.marks[number].inode.handle, new.handle)
                count += 1
            }
            guard count > before else { continue }
            do {
                changed.entries[index] = try file.serializedBytes()
            } catch {
                throw CRIUError(.badImage, "\(image.name): a watch cannot be written back: \(error)")
            }
        }
        return count == 0 ? nil : changed
    }

    /// CRIU keeps a handle as 16 words, of which the first bytes count.
    private static let words = 16

    private static func handle(_ saved: criu_file_handle) -> Handle {
        var bytes: [UInt8] = []
        for word in saved.handle {
            for byte in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * byte))) }
        }
        return Handle(type: saved.type, bytes: Array(bytes.prefix(Int(saved.bytes))))
    }

    private static func set(_ saved: inout criu_file_handle, _ handle: Handle) {
        saved.type = handle.type
        saved.bytes = UInt32(handle.bytes.count)
        saved.handle = (0..<words).map { word in
            (0..<8).reduce(0) { sum, byte in
                let index = word * 8 + byte
                return index < handle.bytes.count
                    ? sum | UInt64(handle.bytes[index]) << UInt64(8 * byte) : sum
            }
        }
    }
}
