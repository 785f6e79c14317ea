import CLinux
import Glibc
import LinuxSystem

/// What a container's processes see as `/`.
public enum RootFileSystem {
    /// The device nodes that are bind-mounted from the host's `/dev`.
    public static let devices = ["null", "zero", "full", "random", "urandom", "tty"]

    /// Shows the root file system at `spec.rootMount` with the container's ids, on the host. Start and
    /// restore build on the same mount.
    public static func mount(_ spec: ContainerSpec) throws {
        try Files.makeDirectories(spec.rootMount, mode: 0o700)
        try Mount.bindMapped(spec.rootfs, on: spec.rootMount, map: spec.idmap)
        // CRIU goes this way as the container's root. Of a privileged container nobody else may: programs in
        // it that are set-user-id root are that on the host too.
        let mode: mode_t = spec.isPrivileged ? 0o700 : 0o711
        try check("chmod", "open the way to \(spec.rootMount)") { chmod(spec.runtimeDirectory, mode) }
        for disk in spec.disks { try Disks.mount(disk, of: spec) }
    }

    /// Makes `root` the root of this process's new mount namespace and mounts what belongs into it.
    /// Everything is done from inside the new root, so that symlinks in it cannot lead out. `joinCgroup` is
    /// called when the cgroup namespace is needed.
    static func enter(
        _ root: FileDescriptor, privileged: Bool, systemdSettings: Bool, disks: [Disks.Open],
        enterCgroupNamespace: () throws -> Void
    ) throws {
        try Mount.setPropagation("/", .slavePropagation)
        let old = try FileDescriptor.open("/", OpenFlags.path | O_DIRECTORY)
        // pivot_root wants a mount of this namespace; the host's is locked in here. By descriptor, because
        // the container's root may not search the host's directories on the way.
        let tree = FileDescriptor(
            owning: try check("open_tree", "open the root file system") {
                apus_open_tree(
                    root.rawValue, "",
                    APUS_OPEN_TREE_CLONE | APUS_OPEN_TREE_CLOEXEC | APUS_AT_EMPTY_PATH | APUS_AT_RECURSIVE)
            })
        try check("move_mount", "mount the root file system") {
            apus_move_mount(tree.rawValue, "", root.rawValue, "")
        }
        try check("fchdir", "enter the root file system") { fchdir(tree.rawValue) }
        try check("pivot_root", "make it the root") { apus_pivot_root(".", ".") }
        try check("chdir", "enter the new root") { chdir("/") }
        try mountKernelFileSystems(privileged: privileged)
        try mountDevices(from: old)
        if systemdSettings { try SystemdSettings.mountRun() }
        try enterCgroupNamespace()
        // Nothing but cgroup2, on every kind of host: systemd is content with it, and newer ones want nothing
        // else.
        try Mount.mount(
            "cgroup2", on: "/sys/fs/cgroup", type: "cgroup2", flags: [.noSUID, .noDevices, .noExec])
        for disk in disks { try Disks.attach(disk) }
        // The old root lies on top of the new one until here: new proc and sysfs need to see the host's.
        try check("fchdir", "leave the host's root") { fchdir(old.rawValue) }
        try Mount.unmount(".", lazy: true)
        try check("chdir", "enter the new root") { chdir("/") }
        // CRIU: "Can't copy sharing from …/systemd/propagate/…", if / were shared.
        try Mount.setPropagation("/", .privatePropagation)
    }

    private static func mountKernelFileSystems(privileged: Bool) throws {
        let plain: MountFlags = [.noSUID, .noDevices, .noExec]
        for directory in ["/proc", "/sys", "/dev"] { try Files.makeDirectories(directory) }
        try Mount.mount("proc", on: "/proc", type: "proc", flags: plain)
        // systemd-networkd takes a /sys that can be written to for a sign that udev will announce its interfaces, and
        // waits for ever.
        try Mount.mount("sysfs", on: "/sys", type: "sysfs", flags: plain.union(.readOnly))
        if privileged { try protectHostSettings() }
    }

    /// The root of a privileged container is the host's root: settings of the whole machine are read only for
    /// it.
    private static func protectHostSettings() throws {
        // Ones's own network settings stay writable: bound before its parent becomes read only.
        try Mount.bind("/proc/sys/net", on: "/proc/sys/net")
        let net = FileDescriptor(
            owning: try check("open_tree", "keep /proc/sys/net") {
                apus_open_tree(AT_FDCWD, "/proc/sys/net", APUS_OPEN_TREE_CLONE | APUS_OPEN_TREE_CLOEXEC)
            })
        try Mount.unmount("/proc/sys/net")
        for path in ["/proc/sys", "/proc/sysrq-trigger"] where Files.exists(path) {
            try Mount.bind(path, on: path)
            try Mount.mount(
                nil, on: path, flags: [.bind, .remount, .readOnly, .noSUID, .noDevices, .noExec])
        }
        try check("move_mount", "mount /proc/sys/net") {
            apus_move_mount(net.rawValue, "", AT_FDCWD, "/proc/sys/net")
        }
    }

    private static func mountDevices(from host: FileDescriptor) throws {
        try Mount.mount("tmpfs", on: "/dev", type: "tmpfs", flags: .noSUID, options: "mode=755,size=492k")
        for name in devices {
            let tree = FileDescriptor(
                owning: try check("open_tree", "open the host's /dev/\(name)") {
                    apus_open_tree(
                        host.rawValue, "dev/\(name)", APUS_OPEN_TREE_CLONE | APUS_OPEN_TREE_CLOEXEC)
                })
            try Files.write("/dev/\(name)", "", mode: 0o666)
            try check("move_mount", "mount /dev/\(name)") {
                apus_move_mount(tree.rawValue, "", AT_FDCWD, "/dev/\(name)")
            }
        }
        for (directory, mode) in [("/dev/pts", 0o755), ("/dev/shm", 0o1777), ("/dev/mqueue", 0o755)] {
            try check("mkdir", "make \(directory)") { mkdir(directory, mode_t(mode)) }
        }
        try Mount.mount(
            "devpts", on: "/dev/pts", type: "devpts", flags: [.noSUID, .noExec],
            options: "newinstance,ptmxmode=0666,mode=0620,gid=5")
        try Mount.mount(
            "tmpfs", on: "/dev/shm", type: "tmpfs", flags: [.noSUID, .noDevices], options: "mode=1777")
        try Mount.mount("mqueue", on: "/dev/mqueue", type: "mqueue", flags: [.noSUID, .noDevices, .noExec])
        let links = [
            "/dev/ptmx": "pts/ptmx", "/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0",
            "/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2", "/dev/core": "/proc/kcore",
        ]
        for (link, target) in links { try check("symlink", "make \(link)") { symlink(target, link) } }
    }

    /// Opens the console: the first terminal of the container's own devpts, shown at /dev/console. The master
    /// is for the runtime.
    static func openConsole() throws -> (master: FileDescriptor, slave: FileDescriptor) {
        let console = try PTY.open(ptmx: "/dev/pts/ptmx")
        try Files.write("/dev/console", "", mode: 0o600)
        try Mount.bind("/dev/pts/\(console.number)", on: "/dev/console")
        return (console.master, try console.openSlave())
    }
}
