import CStorage
import Glibc
import LinuxSystem

/// Owner, mode, times and extended attributes of an entry, as far as an image may set them.
struct EntryAttributes {
    let permissions: mode_t
    private let user: uid_t
    private let group: gid_t
    private let modified: timespec
    private let attributes: [(name: String, value: [UInt8])]

    /// Takes them from an entry; what is not allowed is noted and left out.
    init(_ entry: TarEntry, path: EntryPath, image: String, report: inout UnpackReport) throws {
        guard (0..<Int64(UInt32.max)).contains(entry.user), (0..<Int64(UInt32.max)).contains(entry.group)
        else {
            throw ImageError(
                .invalid, "\(image) is refused: \(path.text) has the owner \(entry.user):\(entry.group)")
        }
        permissions = entry.permissions
        user = uid_t(entry.user)
        group = gid_t(entry.group)
        modified = entry.modified
        var allowed: [(String, [UInt8])] = []
        entry.forEachAttribute { name, value in
            let name = String(cString: name)
            // A capability of 20 bytes has no user of its own; the longer form names one of the host that
            // made it.
            if name == "security.capability", let capability = Self.ofRoot(Array(value)) {
                allowed.append((name, capability))
            } else if name.hasPrefix("user.") || name.hasPrefix("system.posix_acl_") {
                allowed.append((name, Array(value)))
            } else {
                report.note("\(path.text): attribute \(name) left out")
            }
        }
        attributes = allowed
    }

    /// A file's capabilities without a user of their own: LXD's backups name the container's root, which is the same.
    private static func ofRoot(_ value: [UInt8]) -> [UInt8]? {
        if value.count == 24, value[3] == 3, value[20...].allSatisfy({ $0 == 0 }) {
            return value[..<3] + [2] + value[4..<20]
        }
        return value.count == 20 ? value : nil
    }

    /// Gives them to an open file or directory.
    func apply(to file: Int32, path: String, image: String, keepsOwner: Bool) throws {
        if keepsOwner, fchown(file, user, group) != 0 { throw failure("change owner of", path, image, errno) }
        if fchmod(file, permissions) != 0 { throw failure("change mode of", path, image, errno) }
        for (name, value) in attributes {
            let result = cstorage_fsetxattr(file, name, value, value.count)
            if result < 0 { throw failure("set attribute \(name) of", path, image, -result) }
        }
        if futimens(file, [modified, modified]) != 0 { throw failure("set times of", path, image, errno) }
    }

    /// Gives owner and times to a symlink or fifo.
    func applySpecial(_ path: EntryPath, in directory: Int32, image: String, keepsOwner: Bool) throws {
        if keepsOwner, fchownat(directory, path.name, user, group, AT_SYMLINK_NOFOLLOW) != 0 {
            throw failure("change owner of", path.text, image, errno)
        }
        if utimensat(directory, path.name, [modified, modified], AT_SYMLINK_NOFOLLOW) != 0 {
            throw failure("set times of", path.text, image, errno)
        }
    }

    private func failure(_ call: String, _ path: String, _ image: String, _ reason: Int32) -> ImageError {
        if reason == ENOSPC || reason == EDQUOT {
            return ImageError(.tooLarge, "cannot unpack \(image): the file system is full (\(call) \(path))")
        }
        return ImageError(.system, "cannot unpack \(image): \(call) \(path): \(SystemError.reason(reason))")
    }
}
