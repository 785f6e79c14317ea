internal import Glibc
internal import LinuxSystem

/// Where CRIU keeps what it has learnt about the kernel. It wants `/run/criu.kdat`, and only on a tmpfs; where
/// `/run` is none, CRIU is shown another tmpfs in its place.
public enum CRIURunDirectory {
    private static let substitute = "/dev/shm/apus-criu"

    /// The directory to show CRIU as `/run`; nil when `/run` is good as it is, or there is no tmpfs.
    public static func prepared() -> String? {
        guard !isTemporary("/run"), isTemporary("/dev/shm") else { return nil }
        if mkdir(substitute, 0o700) != 0, errno != EEXIST { return nil }
        // Anyone may write in /dev/shm: what is there must be ours.
        var information = stat()
        guard lstat(substitute, &information) == 0, information.st_mode & S_IFMT == S_IFDIR,
            information.st_uid == geteuid(), information.st_mode & 0o022 == 0
        else { return nil }
        return substitute
    }

    private static func isTemporary(_ path: String) -> Bool {
        let mounts = (try? MountInfo.current()) ?? []
        return mounts.last { $0.mountPoint == path }?.type == "tmpfs"
    }
}
