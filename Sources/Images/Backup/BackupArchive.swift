import Glibc
import LinuxSystem
import Storage

/// Backups of containers in LXD's format: a tarball with `backup/index.yaml`, `backup/container/` and
/// `backup/snapshots/`. Running states, which LXD does not know, lie in `backup/apus/`.
public enum BackupArchive {
    /// How errors call it.
    static let name = "the backup"

    /// Reads what a backup says of itself, which stands at its beginning.
    public static func index(_ path: String) async throws -> BackupIndex {
        try await Blocking.run {
            try TarReader.withUnicodeNames {
                let reader = try TarReader(path: path, called: name)
                var index: [UInt8]?
                while let entry = try reader.next() {
                    let entryPath = try EntryPath(entry.path, of: name)
                    let limit = BackupIndex.largestFile
                    switch entryPath.text {
                    case "backup/index.yaml":
                        let text = try reader.readAll(limit: limit, entry: entryPath.text)
                        if let read = try? BackupIndex(yaml: text) { return read }
                        index = text
                    case "backup/container/backup.yaml":
                        // Archives of LXD 3 and 4.
                        guard let index else { continue }
                        let text = try reader.readAll(limit: limit, entry: entryPath.text)
                        return try BackupIndex(yaml: index, config: text)
                    default: continue
                    }
                }
                guard let index else {
                    throw ImageError(
                        .invalid, "this is not a backup of a container: it has no backup/index.yaml")
                }
                return try BackupIndex(yaml: index)
            }
        }
    }

    /// Reads a backup to its end, and refuses it if it is damaged, hostile, too large, or is not what its index says.
    /// - Parameters:
    ///   - states: where to put the running states, each in a folder of its own; nil to leave them alone.
    ///   - progress: gets the share of the file that has been read, between 0 and 1, now and then.
    public static func inspect(
        _ path: String, _ index: BackupIndex, states: String?, limits: UnpackLimits = UnpackLimits(),
        progress: @escaping @Sendable (Double) -> Void
    ) async throws {
        try await withCancellation { flag in
            try TarReader.withUnicodeNames {
                let reader = try TarReader(path: path, called: name)
                if index.isSummed { reader.sum = TarSum() }
                var inspection = BackupInspection(index, states: states, limits: limits)
                let size = Double(max(1, fileSize(path)))
                var count = 0
                while let entry = try reader.next() {
                    if flag.isSet { throw CancellationError() }
                    try inspection.take(entry, from: reader)
                    count += 1
                    if count % 256 == 0 { progress(min(1, Double(reader.consumed) / size)) }
                }
                try inspection.finish(sum: reader.sum?.value)
            }
        }
    }

    /// The folder of a running state below the one given to `inspect`.
    public static func folder(of state: BackupPart, in states: String) -> String {
        switch state {
        case .state, .container: states + "/state"
        case .snapshotState(let name), .snapshot(let name): states + "/snapshots/" + name
        }
    }

    static func fileSize(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Runs work that blocks and looks now and then whether its task was cancelled.
    static func withCancellation<Result: Sendable>(
        _ body: @escaping @Sendable (CancellationFlag) throws -> Result
    ) async throws -> Result {
        let flag = CancellationFlag()
        return try await withTaskCancellationHandler {
            try await Blocking.run { try body(flag) }
        } onCancel: {
            flag.set()
        }
    }
}

/// What a backup turns out to be while it is read.
private struct BackupInspection {
    private let index: BackupIndex
    private let states: String?
    private let limits: UnpackLimits
    private var entries: UInt64 = 0
    private var bytes: UInt64 = 0
    private var current: BackupPart?
    private var seen: Set<BackupPart> = []
    private var withRoot: Set<BackupPart> = []
    private var extractor: SafeExtractor?
    /// The sum that the backup says it has.
    private var said: String?

    init(_ index: BackupIndex, states: String?, limits: UnpackLimits) {
        self.index = index
        self.states = states
        self.limits = limits
    }

    mutating func take(_ entry: TarEntry, from reader: TarReader) throws {
        let path = try EntryPath(entry.path, of: BackupArchive.name)
        try measure(entry, path)
        if path.text == TarSum.name {
            let text = try reader.readAll(limit: 128, entry: path.text)
            said = String(decoding: text.prefix(64), as: UTF8.self)
        }
        guard let (part, rest) = BackupPart.locate(path) else { return }
        if part != current { try begin(part) }
        if part.isVolume {
            if rest.text == "rootfs", entry.type == FileType.directory { withRoot.insert(part) }
        } else if let extractor, !rest.components.isEmpty {
            guard entry.hardLink == nil else {
                throw ImageError(.hostile, "the backup is refused: \(path.text) is a link")
            }
            try extractor.extract(entry, as: rest, hardLink: nil, from: reader)
        }
    }

    mutating func finish(sum: String?) throws {
        try end()
        let missing = index.volumes.subtracting(withRoot).union(index.states.subtracting(seen))
        if let part = missing.map(\.folder).sorted().first {
            throw ImageError(.invalid, "the backup is not whole: \(part) is missing in it")
        }
        if let sum, sum != said {
            throw ImageError(
                .invalid,
                said == nil
                    ? "the backup is not whole: its end is missing"
                    : "the backup is refused: it has been altered since it was made")
        }
    }

    private mutating func begin(_ part: BackupPart) throws {
        try end()
        guard index.volumes.contains(part) || index.states.contains(part) else {
            throw ImageError(.invalid, "the backup is refused: its index does not tell of \(part.folder)")
        }
        guard seen.insert(part).inserted else {
            throw ImageError(
                .invalid, "the backup is refused: \(part.folder) is in more than one place in it")
        }
        current = part
        guard !part.isVolume, let states else { return }
        let folder = BackupArchive.folder(of: part, in: states)
        try Files.makeDirectories(folder, mode: 0o700)
        extractor = try SafeExtractor(into: folder, image: BackupArchive.name, limits: limits, shape: .files)
    }

    private mutating func end() throws {
        _ = try extractor?.finish()
        extractor = nil
    }

    private mutating func measure(_ entry: TarEntry, _ path: EntryPath) throws {
        let size = UInt64(max(0, entry.size))
        entries += 1
        if !entry.isSparse { bytes += size }
        guard size <= limits.fileSize, bytes <= limits.bytes, entries <= limits.entries else {
            throw ImageError(
                .tooLarge,
                "the backup is refused: with \(path.text) it is larger than what is allowed here (\(limits.bytes) bytes, \(limits.entries) entries)"
            )
        }
    }
}
