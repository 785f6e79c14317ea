import CStorage
import Glibc
import LinuxSystem

/// Limits and usage of subvolumes.
enum BtrfsQuota {
    /// Limits what a subvolume refers to; switches the file system's quotas on when the first limit is set.
    static func limit(_ path: String, bytes: UInt64?) throws {
        // Not by the subvolume itself: one that is full has no room for the change either.
        let subvolume = try Subvolume.open(path + "/..")
        let id = try Subvolume.id(path)
        var failed = cstorage_quota_limit(subvolume.rawValue, id, bytes ?? 0)
        if failed == -ENOTCONN || failed == -EINVAL || failed == -ENOENT {
            // Quotas are off: then nothing is limited.
            guard bytes != nil else { return }
            try checked(cstorage_quota_enable(subvolume.rawValue), "switch quotas on for", path)
            failed = cstorage_quota_limit(subvolume.rawValue, id, bytes ?? 0)
        }
        try checked(failed, "limit", path)
    }

    /// What a subvolume refers to; nil where quotas are off.
    static func usage(_ path: String) throws -> UInt64? {
        let subvolume = try Subvolume.open(path)
        var (referenced, exclusive): (UInt64, UInt64) = (0, 0)
        let failed = cstorage_quota_usage(subvolume.rawValue, try Subvolume.id(path), &referenced, &exclusive)
        return failed == 0 ? referenced : nil
    }

    /// Gives one subvolume the limit of another.
    static func copyLimit(from source: String, to target: String) throws {
        let subvolume = try Subvolume.open(source)
        var bytes: UInt64 = 0
        guard cstorage_quota_get_limit(subvolume.rawValue, try Subvolume.id(source), &bytes) == 0, bytes > 0
        else { return }
        try limit(target, bytes: bytes)
    }
}
