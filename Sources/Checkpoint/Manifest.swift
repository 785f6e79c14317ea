import Dispatch
import FoundationEssentials
import Glibc
import LinuxSystem
import Synchronization

/// The SHA-256 sums of every file of a checkpoint, so that a restore never reads what somebody changed.
struct Manifest: Codable, Equatable {
    /// The manifest's own file, not listed in it.
    static let fileName = "manifest.json"

    struct Entry: Codable, Equatable {
        var size: Int64
        var sha256: String
        /// Set where the sum is that of the sums of pieces of this length.
        var piece: Int64?
    }

    /// By path below the checkpoint's directory.
    var files: [String: Entry]

    /// Sums up a directory. Files whose sums are known already are not read again, if they have that size.
    init(of directory: String, known: [String: Entry] = [:]) throws {
        files = [:]
        for path in try Self.regularFiles(below: directory) {
            if let entry = known[path], try Self.size("\(directory)/\(path)") == entry.size {
                files[path] = entry
            } else {
                files[path] = try Self.sum("\(directory)/\(path)", piece: PieceSums.usualPiece)
            }
        }
    }

    /// Reads the manifest of a directory.
    init(readingFrom directory: String) throws {
        let path = "\(directory)/\(Self.fileName)"
        do {
            self = try JSONDecoder().decode(Manifest.self, from: Data(try Files.bytes(path, limit: 64 << 20)))
        } catch let error as SystemError {
            throw CheckpointError(.altered, "the checkpoint in \(directory) is incomplete: \(error)")
        } catch {
            throw CheckpointError(
                .altered, "the manifest \(path) is damaged; the checkpoint cannot be trusted")
        }
    }

    /// Writes it into the directory, last of all: a checkpoint without manifest is not whole.
    func write(to directory: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try Files.replace("\(directory)/\(Self.fileName)", Array(try encoder.encode(self)), sync: false)
    }

    /// Which files a check looks into; names and sizes are always compared.
    enum Depth {
        /// All but memory pages, which may be gigabytes.
        case allButMemory
        /// Memory pages alone.
        case memoryOnly
        case everything
    }

    /// Compares the directory with the manifest.
    func verify(_ directory: String, _ depth: Depth) throws {
        let present = Set(try Self.regularFiles(below: directory))
        if let missing = Set(files.keys).subtracting(present).sorted().first {
            throw CheckpointError(.altered, "\(directory)/\(missing) is missing; the checkpoint is not whole")
        }
        if let extra = present.subtracting(files.keys).sorted().first {
            throw CheckpointError(
                .altered,
                "\(directory)/\(extra) was not there when the checkpoint was made; it cannot be trusted")
        }
        for (path, entry) in files.sorted(by: { $0.key < $1.key }) {
            let isMemory = path.hasPrefix("images/pages-")
            if !isMemory && depth == .memoryOnly { continue }
            let same =
                isMemory && depth == .allButMemory
                ? try Self.size("\(directory)/\(path)") == entry.size
                : try Self.sum("\(directory)/\(path)", piece: entry.piece ?? .max) == entry
            guard same else {
                throw CheckpointError(
                    .altered,
                    "\(directory)/\(path) has changed since the checkpoint was made; it cannot be trusted")
            }
        }
    }

    private static func sum(_ path: String, piece: Int64) throws -> Entry {
        let file = try FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW)
        let size = Int64(try file.status().st_size)
        let sums = PieceSums(file, piece: piece, size: size)
        guard size > piece else {
            try sums.work()
            return sums.entry
        }
        let failure = Mutex<(any Error)?>(nil)
        let threads = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        DispatchQueue.concurrentPerform(iterations: threads) { _ in
            do { try sums.work() } catch { failure.withLock { $0 = error } }
        }
        if let failure = failure.withLock({ $0 }) { throw failure }
        return sums.entry
    }

    private static func size(_ path: String) throws -> Int64 {
        var information = stat()
        try check("lstat", "look at \(path)") { lstat(path, &information) }
        return Int64(information.st_size)
    }

    /// Every file below a directory, relative; anything but files and directories is refused.
    private static func regularFiles(below directory: String, _ prefix: String = "") throws -> [String] {
        let path = prefix.isEmpty ? directory : "\(directory)/\(prefix)"
        return try Files.names(in: path).sorted().flatMap { name -> [String] in
            let relative = prefix.isEmpty ? name : "\(prefix)/\(name)"
            var information = stat()
            try check("lstat", "look at \(directory)/\(relative)") {
                lstat("\(directory)/\(relative)", &information)
            }
            switch information.st_mode & S_IFMT {
            case S_IFDIR: return try regularFiles(below: directory, relative)
            case S_IFREG: return relative == Self.fileName ? [] : [relative]
            default:
                throw CheckpointError(
                    .altered,
                    "\(directory)/\(relative) is neither a file nor a directory; the checkpoint cannot be trusted"
                )
            }
        }
    }
}
