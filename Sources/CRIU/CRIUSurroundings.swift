internal import Glibc
public import LinuxSystem

/// A quick place for CRIU to work in: a directory on a tmpfs of the host, shared by all who run CRIU.
///
/// CRIU keeps what it has learnt about the kernel in `/run/criu.kdat`, but only if `/run` is a tmpfs; where it is
/// none, CRIU is shown another tmpfs in its place (40 ms less each time). And it looks for `iptables` in every
/// variant; with a PATH that has only what a container without network needs, it need not (12–14 programs less).
public enum CRIUSurroundings {
    /// Launch settings that use the place, for tasks in a mount namespace of their own. `withoutNetwork` leaves the programs for firewalls out of CRIU's PATH.
    public static func launch(
        withoutNetwork: Bool, cgroups: [String] = [], namespaces: Namespaces = []
    ) -> CRIULaunch {
        var launch = CRIULaunch(cgroups: cgroups, namespaces: namespaces, niceness: -10)
        guard let mounts = try? MountInfo.current() else { return launch }
        func isTemporary(_ path: String) -> Bool { mounts.last { $0.mountPoint == path }?.type == "tmpfs" }
        if isTemporary("/run") {
            if withoutNetwork, own("/run/apus-criu") { launch.searchPath = programs(in: "/run/apus-criu") }
        } else if isTemporary("/dev/shm"), own("/dev/shm/apus-criu") {
            launch.runDirectory = "/dev/shm/apus-criu"
            if withoutNetwork { launch.searchPath = programs(in: "/dev/shm/apus-criu") }
        }
        return launch
    }

    /// Makes the directory, or sees that it is ours: anyone may write in /dev/shm. Searchable, because CRIU runs
    /// `tar` as a user of the container.
    private static func own(_ directory: String) -> Bool {
        if mkdir(directory, 0o711) != 0, errno != EEXIST { return false }
        var information = stat()
        return lstat(directory, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
            && information.st_uid == geteuid() && information.st_mode & 0o022 == 0
    }

    /// What CRIU runs for a container whose network it leaves alone: one `tar` for each tmpfs.
    private static let needed = ["tar", "gzip", "sh", "ip", "nft"]

    /// Fills `bin` with links to the needed programs; nil if one of the first two is not on this machine.
    private static func programs(in directory: String) -> String? {
        let bin = "\(directory)/bin"
        if mkdir(bin, 0o711) != 0, errno != EEXIST { return nil }
        for name in needed where !Files.exists("\(bin)/\(name)") {
            guard let program = try? Spawn.find(name) else { continue }
            // Another process may be just as far: then the link is there.
            _ = symlink(program, "\(bin)/\(name)")
        }
        return access("\(bin)/tar", X_OK) == 0 && access("\(bin)/gzip", X_OK) == 0 ? bin : nil
    }
}
