import CStorage
import Glibc
import LinuxSystem

/// A directory of its own below a pool's `staging/`: where a volume is made before it gets its name, and
/// where one goes that has lost it.
struct StagingPlace: Sendable {
    /// The directory that is removed in the end.
    let directory: String

    /// The volume in it.
    var volume: String { directory + "/volume" }

    /// What is in a new place.
    enum Content {
        /// An empty directory for the volume.
        case directory
        /// An empty subvolume for it.
        case subvolume
        /// Nothing: the volume is made as a snapshot.
        case nothing
    }

    /// Makes a place with an empty volume in it. With a container's name it is found again after a crash.
    init(pool: String, container: String? = nil, content: Content = .directory) throws {
        let number = String(UInt64.random(in: .min ... .max), radix: 16)
        let name = container.map { "for.\(number).\($0)" } ?? number
        directory = "\(pool)/staging/\(name)"
        do {
            if mkdir(directory, 0o700) != 0 {
                let staging = "\(pool)/staging"
                guard errno == ENOENT else { throw FileFailure("make directory", directory, errno) }
                try DirDriver.makeDirectory(staging, mode: 0o711)
                try posix(mkdir(directory, 0o700), "make directory", directory)
            }
            switch content {
            case .directory: try DirDriver.makeDirectory(volume, mode: DirDriver.volumeMode)
            case .subvolume: try Subvolume.create(volume, mode: DirDriver.volumeMode)
            case .nothing: break
            }
        } catch {
            rmdir(directory)
            throw StorageError.wrapping(error, doing: "cannot begin work in storage pool \(pool)", in: pool)
        }
    }

    /// A place that exists already.
    private init(directory: String) { self.directory = directory }

    /// The place a former process made for a container.
    static func find(pool: String, container: String) -> StagingPlace? {
        let names = (try? Files.names(in: "\(pool)/staging")) ?? []
        for name in names {
            let parts = name.split(separator: ".", maxSplits: 2)
            if parts.count == 3, parts[0] == "for", parts[2] == container {
                return StagingPlace(directory: "\(pool)/staging/\(name)")
            }
        }
        return nil
    }

    /// Gives the volume its name, and removes the place.
    func install(as path: String) throws {
        let parent = path.split(separator: "/").dropLast().joined(separator: "/")
        try DirDriver.makeDirectory((path.hasPrefix("/") ? "/" : "") + parent, mode: 0o711)
        try checked(cstorage_rename_new(volume, path), "rename", path)
        rmdir(directory)
    }

    /// Gives the place up: nobody finds it as a container's any more.
    func abandoned() -> StagingPlace {
        let number = String(UInt64.random(in: .min ... .max), radix: 16)
        let parent = directory.split(separator: "/").dropLast().joined(separator: "/")
        let other = (directory.hasPrefix("/") ? "/" : "") + parent + "/" + number
        return cstorage_rename_new(directory, other) == 0 ? StagingPlace(directory: other) : self
    }

    /// Removes the place and what is in it. What cannot be removed is left to `removeLeftovers`.
    func discard() async {
        _ = try? await Blocking.run { try Self.remove(directory) }
    }

    /// Removes a directory of the staging room: subvolumes at once, the rest file by file.
    static func remove(_ directory: String) throws {
        Subvolume.destroyAll(in: directory)
        try TreeRemover.remove(directory)
    }
}
