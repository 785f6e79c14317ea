import CLinux
import Glibc
import LinuxSystem

/// Executing this program again.
public enum OwnProgram {
    /// Executes this program with other arguments, by way of a read-only view of its file that belongs to no
    /// mount namespace: a privileged container reaches the file as `/proc/<pid>/exe` of what is executed in
    /// it, and must not be able to write to it.
    public static func execute(_ arguments: [String], _ environment: [String]) throws -> Never {
        let words = CStrings(arguments)
        let variables = CStrings(environment)
        let own = "/proc/self/exe"
        withExtendedLifetime((words, variables)) {
            if let view = try? readOnlyView(own) {
                _ = withExtendedLifetime(view) { execve(view.procPath, words.pointer, variables.pointer) }
            }
            execve(own, words.pointer, variables.pointer)
        }
        throw SystemError("execve", "execute apus-runtime again")
    }

    /// Whether this program runs from such a view.
    public static var isReadOnly: Bool {
        var info = statvfs()
        return statvfs("/proc/self/exe", &info) == 0 && info.f_flag & 1 != 0
    }

    private static func readOnlyView(_ path: String) throws -> FileDescriptor {
        let view = FileDescriptor(
            owning: try check("open_tree", "open \(path)") {
                apus_open_tree(AT_FDCWD, path, APUS_OPEN_TREE_CLONE | APUS_OPEN_TREE_CLOEXEC)
            })
        try check("mount_setattr", "make a view of \(path) read only") {
            apus_mount_setattr(
                view.rawValue, "", APUS_AT_EMPTY_PATH, UInt64(APUS_MOUNT_ATTR_RDONLY), 0,
                UInt64(MountFlags.privatePropagation.rawValue), -1)
        }
        return view
    }
}
