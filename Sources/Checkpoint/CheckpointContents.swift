public import CRIU
public import ContainerRuntime

/// What a checkpoint holds, for people.
public struct CheckpointContents: Sendable {
    /// What Apus wrote down of it.
    public let record: CheckpointRecord
    /// What CRIU saved.
    public let state: CRIUSavedState
    /// What CRIU measured; nil where it could not any more.
    public let statistics: CRIUDumpStatistics?
    /// Bytes on disk, by what they are.
    public let sizes: [Part: Int64]

    /// A part of a checkpoint.
    public enum Part: String, Sendable, Hashable, CaseIterable {
        /// Pages of memory.
        case memory
        /// Files of file systems in memory.
        case tmpfs
        /// Files whose names are gone.
        case deletedFiles = "deleted_files"
        /// Descriptions of all there is.
        case other

        init(path: String) {
            let name = path.split(separator: "/").last.map(String.init) ?? path
            switch name {
            case _ where name.hasPrefix("pages-"): self = .memory
            case _ where name.hasPrefix("tmpfs-"): self = .tmpfs
            case _ where name.hasPrefix("ghost-file-"): self = .deletedFiles
            default: self = .other
            }
        }
    }

    /// All bytes on disk.
    public var size: Int64 { sizes.values.reduce(0, &+) }
}

extension CheckpointStore {
    /// Reads what a checkpoint holds. One that was altered is refused; memory pages are not looked at.
    public static func contents(directory: String) async throws -> CheckpointContents {
        try await onThread {
            let manifest = try Manifest(readingFrom: directory)
            try manifest.verify(directory, .allButMemory)
            let images = "\(directory)/\(images)"
            var sizes: [CheckpointContents.Part: Int64] = [:]
            for (path, entry) in manifest.files {
                sizes[CheckpointContents.Part(path: path), default: 0] &+= entry.size
            }
            return CheckpointContents(
                record: try record(directory), state: try CRIUSavedState(directory: images),
                statistics: manifest.files["\(Self.images)/stats-dump"] == nil
                    ? nil : try CRIUDumpStatistics(directory: images),
                sizes: sizes)
        }
    }
}
