import CStorage
import Glibc
import LinuxSystem

/// A pool on storage that several hosts have: a directory of a file system that all of them mount. A volume in it is
/// not sent; it is handed over. Which host may use it stands beside it, in a file that changes only under a lock of the
/// file system.
public struct SharedPool: Sendable {
    /// What a host finds out about a volume it may not use.
    public struct Owner: Sendable, Hashable {
        /// The host's id: that of its daemon.
        public var host: String
        /// Raised with each handing over: who comes with an older number comes too late.
        public var epoch: UInt64
    }

    /// The file with the pool's id.
    static let idFile = ".apus-pool-id"
    private static let ownersDirectory = ".apus-owners"

    /// The pool's directory.
    public let path: String
    /// Its id: the same on all hosts that have it.
    public let id: String

    /// Makes a pool's id, or reads the one that another host has made.
    public static func mark(_ path: String) throws -> SharedPool {
        do {
            return try open(path)
        } catch let error as StorageError where error.code == .notFound {
            let id = (0..<16).map { _ in UInt8.random(in: .min ... .max) }.map { byte in
                let text = String(byte, radix: 16)
                return text.count == 1 ? "0" + text : text
            }.joined()
            let temporary = "\(path)/\(idFile).\(id)"
            do {
                try Files.write(temporary, id + "\n", mode: 0o600)
                // Two hosts may do this at once: one of the two ids stays.
                _ = cstorage_rename_new(temporary, "\(path)/\(idFile)")
                unlink(temporary)
                try DirDriver.makeDirectory("\(path)/\(ownersDirectory)", mode: 0o700)
            } catch {
                throw StorageError(.system, "cannot mark storage pool \(path) as shared: \(error)")
            }
            return try open(path)
        }
    }

    /// Whether a pool has an id.
    static func isMarked(_ path: String) -> Bool { Files.exists("\(path)/\(idFile)") }

    /// Reads a pool's id.
    public static func open(_ path: String) throws -> SharedPool {
        let file = "\(path)/\(idFile)"
        guard Files.exists(file) else {
            throw StorageError(.notFound, "storage pool \(path) is not marked as shared: it has no \(idFile)")
        }
        let id = try Files.text(file).trimmingSpaces
        guard id.count == 32, id.allSatisfy(\.isHexDigit) else {
            throw StorageError(
                .system, "the id of the shared storage pool \(path) is damaged. Put \(file) right")
        }
        return SharedPool(path: path, id: id)
    }

    private init(path: String, id: String) {
        self.path = path
        self.id = id
    }

    /// Who may use a volume; nil: nobody has said so yet.
    public func owner(of volume: Volume) throws -> Owner? { try locked(volume) { try $0.read() } }

    /// Takes a volume for a host that has made it, or had it before. Refused if another host has it.
    @discardableResult
    public func claim(_ volume: Volume, for host: String) throws -> Owner {
        try locked(volume) { file in
            if let owner = try file.read() {
                if owner.host == host { return owner }
                throw taken(volume, by: owner)
            }
            let owner = Owner(host: host, epoch: 1)
            try file.write(owner)
            return owner
        }
    }

    /// Hands a volume over: the commit of a move. Refused if it is not (any more) as `from` has known it.
    public func handOver(_ volume: Volume, from owner: Owner, to host: String) throws -> Owner {
        try locked(volume) { file in
            guard let present = try file.read(), present == owner else {
                throw StorageError(
                    .ended,
                    "cannot hand \(volume) over: another host has taken it meanwhile. Look at both before going on"
                )
            }
            let next = Owner(host: host, epoch: owner.epoch + 1)
            try file.write(next)
            return next
        }
    }

    /// Refuses if a host may not use a volume. Ask before anything is started with it.
    public func require(_ volume: Volume, belongsTo host: String) throws {
        if let owner = try owner(of: volume), owner.host != host { throw taken(volume, by: owner) }
    }

    /// Forgets a volume that was deleted.
    public func release(_ volume: Volume, by host: String) throws {
        try locked(volume) { file in
            guard let owner = try file.read() else { return }
            guard owner.host == host else { throw taken(volume, by: owner) }
            try file.write(nil)
        }
    }

    private func taken(_ volume: Volume, by owner: Owner) -> StorageError {
        StorageError(
            .unavailable,
            "\(volume) in the shared storage pool \(path) belongs to another host (\(owner.host)). Move it from there"
        )
    }

    // MARK: The file

    /// A volume's file, while it is locked.
    private struct OwnerFile {
        let file: FileDescriptor

        func read() throws -> Owner? {
            let text = String(decoding: try file.readFromStart(limit: 4096), as: UTF8.self)
            let words = text.split(whereSeparator: \.isWhitespace)
            if words.isEmpty { return nil }
            guard words.count == 2, let epoch = UInt64(words[0]) else {
                throw StorageError(
                    .system, "the file that says which host has a volume is damaged: \"\(text)\"")
            }
            return Owner(host: String(words[1]), epoch: epoch)
        }

        func write(_ owner: Owner?) throws {
            let text = owner.map { "\($0.epoch) \($0.host)\n" } ?? ""
            let bytes = Array(text.utf8)
            let written = pwrite(file.rawValue, bytes, bytes.count, 0)
            guard written == bytes.count else { throw FileFailure("write", "the owner of a volume", errno) }
            try posix(ftruncate(file.rawValue, bytes.count), "write", "the owner of a volume")
            // Whoever reads it elsewhere, and after a crash, has to find it.
            try posix(fsync(file.rawValue), "write to disk", "the owner of a volume")
        }
    }

    private func locked<Result>(_ volume: Volume, _ body: (OwnerFile) throws -> Result) throws -> Result {
        try volume.validate()
        let name = volume.relativePath.split(separator: "/").joined(separator: ":")
        do {
            let directory = "\(path)/\(Self.ownersDirectory)"
            try DirDriver.makeDirectory(directory, mode: 0o700)
            let file = try FileDescriptor.open(
                "\(directory)/\(name)", O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
            // A lock of POSIX: network file systems know it on all hosts. It goes with the descriptor.
            var lock = flock()
            lock.l_type = Int16(F_WRLCK)
            lock.l_whence = Int16(SEEK_SET)
            try check("fcntl", "lock the owner of \(volume)") {
                fcntl(file.rawValue, Self.lockOfThisFile, &lock)
            }
            return try body(OwnerFile(file: file))
        } catch let error as FileFailure {
            throw StorageError.wrapping(error, doing: "cannot find out who has \(volume)", in: path)
        } catch let error as SystemError {
            throw StorageError(.system, "\(error)", errno: error.errno)
        }
    }

    /// F_OFD_SETLKW: waits; held by the open file, not by the whole process.
    private static let lockOfThisFile: Int32 = 38
}

/// The sending side of a volume that both hosts have: nothing is sent.
struct SharedSender: VolumeSender {
    let volume: Volume
    let method = TransferMethod.shared

    func send(_ pass: TransferPass, over socket: FileDescriptor) async throws -> PassReport {
        socket.close()
        return PassReport()
    }

    func end() async {}
}

/// The receiving side of a volume that is here already.
struct SharedReceiver: VolumeReceiver {
    let volume: Volume
    let directory: String

    func receive(over socket: FileDescriptor) async throws -> ReceivedPass {
        socket.close()
        return ReceivedPass(pass: nil, report: PassReport())
    }

    func flush() async throws {}
    func install() async throws {}
    func discard() async {}
}
