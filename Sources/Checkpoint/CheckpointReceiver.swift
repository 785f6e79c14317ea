public import ContainerRuntime
import Glibc
import LinuxSystem
import Synchronization

/// Puts a checkpoint together from the pieces that another machine sends. Its memory pages come another way
/// (`CRIUPageReceiver`, or later).
public final class CheckpointReceiver: Sendable {
    /// Where the checkpoint is made. Put it on a tmpfs: it is read once.
    public let directory: String
    private let limit: Int64

    private struct State {
        var current: (name: String, file: FileDescriptor)?
        var seen: Set<String> = []
        var bytes: Int64 = 0
        var isComplete = false
    }

    private let state = Mutex(State())

    private static let mostFiles = 100_000

    /// Makes the directory anew; `images` in it is there from now on.
    /// - Parameter limit: the most bytes that are taken.
    public init(directory: String, limit: Int64) throws {
        self.directory = directory
        self.limit = limit
        try CheckpointStore.make(directory)
    }

    /// The directory for the images.
    public var images: String { "\(directory)/\(CheckpointStore.images)" }

    /// Takes the next piece.
    public func accept(_ chunk: CheckpointChunk) throws { try state.withLock { try accept(chunk, &$0) } }

    private func accept(_ chunk: CheckpointChunk, _ state: inout State) throws {
        guard !state.isComplete else { throw refusal("more came after its end") }
        switch chunk {
        case .file(let name, let content, let isLast): try accept(name, content, isLast, &state)
        case .end(let files, let total):
            guard state.current == nil, files == state.seen.count, total == state.bytes else {
                throw refusal(
                    "\(state.seen.count) of \(files) files came, with \(state.bytes) of \(total) bytes")
            }
            state.isComplete = true
        }
    }

    /// Looks whether everything has come, and returns the record. What it needs of this machine is for the caller to
    /// compare (`CheckpointCompatibility.objection`), best of all beforehand.
    public func finish() throws -> CheckpointRecord {
        let (isComplete, seen) = state.withLock { ($0.isComplete, $0.seen) }
        guard isComplete else { throw refusal("it is not complete") }
        for name in ["inventory.img", "pstree.img", "files.img"] where !seen.contains(name) {
            throw refusal("\(name) is not among its images")
        }
        let record = try CheckpointStore.record(directory)
        guard record.format == CheckpointRecord.currentFormat else {
            throw CheckpointError(
                .incompatible,
                "the other side wrote a checkpoint of form \(record.format); this Apus reads "
                    + "\(CheckpointRecord.currentFormat)")
        }
        try Self.judge(record)
        return record
    }

    private func accept(_ name: String, _ content: [UInt8], _ isLast: Bool, _ state: inout State) throws {
        state.bytes += Int64(content.count)
        guard state.bytes <= limit else { throw refusal("it is larger than \(limit) bytes") }
        let file = try open(name, &state)
        try file.write(content)
        state.current = isLast ? nil : (name, file)
    }

    private func open(_ name: String, _ state: inout State) throws -> FileDescriptor {
        if let current = state.current {
            guard current.name == name else {
                throw refusal("\(name) came before the end of \(current.name)")
            }
            return current.file
        }
        let isRecord = name == CheckpointStore.recordFile
        guard isRecord || Self.isImage(name) else { throw refusal("it has a file with the name \"\(name)\"") }
        guard state.seen.insert(name).inserted else { throw refusal("\(name) came twice") }
        guard state.seen.count <= Self.mostFiles else { throw refusal("it has too many files") }
        let path = isRecord ? "\(directory)/\(name)" : "\(images)/\(name)"
        // CRIU reads images as the container's users. None may be there already: pages have names of their own.
        return try FileDescriptor.open(
            path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: isRecord ? 0o600 : 0o644)
    }

    /// Whether it is the name of an image, and nothing else.
    static func isImage(_ name: String) -> Bool {
        name.utf8.count <= 128 && name.hasSuffix(".img") && !name.hasPrefix(".")
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                    UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    /// A record must not have this machine show the container what is not the container's.
    private static func judge(_ record: CheckpointRecord) throws {
        for mount in record.externalMounts {
            guard case .host(let path) = mount.source else { continue }
            guard RootFileSystem.devices.contains(where: { path == "/dev/\($0)" }) else {
                throw CheckpointError(
                    .altered, "the checkpoint of \(record.container) shows \(path) of the host")
            }
        }
        for path in record.cgroups.map(\.path) + record.tasks.map(\.cgroup)
            + Array(record.networkSettings.keys)
        where path.split(separator: "/").contains("..") {
            throw CheckpointError(.altered, "the checkpoint of \(record.container) names \(path)")
        }
    }

    private func refusal(_ reason: String) -> CheckpointError {
        CheckpointError(.altered, "cannot take over the checkpoint that is being sent: \(reason)")
    }
}
