import Glibc
import LinuxSystem
import Synchronization

/// A backup on its way from a client: a file in a folder of the work directory, which a daemon that starts empties.
public final class BackupUpload: Sendable {
    /// The folder, for what else the import needs.
    let folder: String
    private let file: Mutex<FileDescriptor?>

    init(in work: String) throws {
        folder = work + "/import-" + RandomID.uuid()
        try Files.makeDirectories(folder, mode: 0o700)
        file = Mutex(try FileDescriptor.open(folder + "/archive", O_WRONLY | O_CREAT | O_EXCL, mode: 0o600))
    }

    deinit { cancel() }

    var path: String { folder + "/archive" }

    /// Takes the next part.
    public func write(_ bytes: [UInt8]) throws {
        try file.withLock { file in
            guard let file else { throw ServiceError.failure("The upload of this backup has ended already") }
            do {
                try file.write(bytes)
            } catch let error as SystemError {
                throw ServiceError(
                    .tooLarge,
                    "The backup cannot be written to \(folder): \(SystemError.reason(error.errno)). Make room there"
                )
            }
        }
    }

    /// Gives the upload up, or what is left of it.
    public func cancel() {
        file.withLock { $0 = nil }
        try? removeTree(folder)
    }
}
