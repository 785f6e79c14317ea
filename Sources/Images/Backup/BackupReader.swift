import CArchive
import LinuxSystem
import Storage
import Synchronization

/// Unpacks the files of a backup that has been inspected, part by part, in the order they are in.
public final class BackupReader: Sendable {
    private struct State: ~Copyable {
        let reader: TarReader
        /// The first entry of the part that comes next.
        var next: (entry: TarEntry, part: BackupPart, path: EntryPath)?
    }

    private let state: Mutex<State>
    private let size: Double
    private let limits: UnpackLimits

    /// Opens a backup.
    public init(_ path: String, limits: UnpackLimits = UnpackLimits()) throws {
        state = Mutex(State(reader: try TarReader(path: path, called: BackupArchive.name), next: nil))
        size = Double(max(1, BackupArchive.fileSize(path)))
        self.limits = limits
    }

    /// The next part that has files; nil at the end.
    public func next() async throws -> BackupPart? {
        try await BackupArchive.withCancellation { flag in
            try self.state.withLock { state in
                try TarReader.withUnicodeNames {
                    while true {
                        if flag.isSet { throw CancellationError() }
                        if state.next == nil { state.next = try Self.advance(state.reader) }
                        guard let next = state.next else { return nil }
                        if next.part.isVolume { return next.part }
                        state.next = nil
                    }
                }
            }
        }
    }

    /// Unpacks the part that `next` gave into an empty directory, which root alone can enter. The caller removes the
    /// directory if this fails. `progress` gets the share of the file that has been read, between 0 and 1.
    public func unpack(
        into directory: String, progress: @escaping @Sendable (Double) -> Void
    ) async throws -> UnpackReport {
        try await BackupArchive.withCancellation { [limits, size] flag in
            try self.state.withLock { state in
                try TarReader.withUnicodeNames {
                    let extractor = try SafeExtractor(
                        into: directory, image: BackupArchive.name, limits: limits)
                    let part = state.next?.part
                    var count = 0
                    while let next = state.next, next.part == part {
                        if flag.isSet { throw CancellationError() }
                        try extractor.extract(
                            next.entry, as: next.path, hardLink: Self.link(of: next.entry, in: next.part),
                            from: state.reader)
                        count += 1
                        if count % 256 == 0 { progress(min(1, Double(state.reader.consumed) / size)) }
                        state.next = try Self.advance(state.reader)
                    }
                    let report = try extractor.finish()
                    guard Files.isDirectory(directory + "/rootfs") else {
                        throw ImageError(.invalid, "the backup is not whole: a rootfs is missing in it")
                    }
                    return report
                }
            }
        }
    }

    private static func advance(
        _ reader: TarReader
    ) throws -> (entry: TarEntry, part: BackupPart, path: EntryPath)? {
        while let entry = try reader.next() {
            let path = try EntryPath(entry.path, of: BackupArchive.name)
            guard let (part, rest) = BackupPart.locate(path) else { continue }
            // What it says stands in the index as well.
            if rest.text != "backup.yaml" { return (entry, part, rest) }
        }
        return nil
    }

    /// What a hard link leads to, within its part.
    private static func link(of entry: TarEntry, in part: BackupPart) throws -> EntryPath? {
        guard let target = entry.hardLink else { return nil }
        guard let (other, path) = BackupPart.locate(try EntryPath(target, of: BackupArchive.name)),
            other == part
        else {
            throw ImageError(
                .hostile,
                "the backup is refused: the hard link \"\(entry.path)\" leads outside, to \"\(target)\"")
        }
        return path
    }
}
