import CLinux
import Glibc
import LinuxSystem

/// Kinds of init, told apart to ask each to shut down in the way it understands.
public enum InitKind: String, Sendable, Hashable, Codable {
    /// systemd: SIGRTMIN+3 halts, SIGINT (ctrl-alt-del) reboots.
    case systemd
    /// busybox init: SIGUSR2 powers off, SIGTERM reboots.
    case busybox
    /// sysvinit, OpenRC's init and others: SIGPWR.
    case other

    /// Looks at what `/sbin/init` (or another command) really is below a root directory; symlinks cannot lead
    /// out.
    public static func detect(root: String, command: String = "/sbin/init") -> InitKind {
        guard let directory = try? FileDescriptor.open(root, OpenFlags.path | O_DIRECTORY),
            let program = try? directory.open(
                at: command, OpenFlags.path, resolve: [.inRoot, .noMagicLinks]),
            let target = try? Files.readLink(program.procPath)
        else { return .other }
        let name = target.split(separator: "/").last.map(String.init) ?? ""
        if name == "systemd" { return .systemd }
        if name.hasPrefix("busybox") { return .busybox }
        return .other
    }

    /// The signal that asks this init to shut the container down.
    public var stopSignal: Int32 {
        switch self {
        case .systemd: apus_sigrtmin() + 3
        case .busybox: SIGUSR2
        case .other: SIGPWR
        }
    }

    /// The signal that asks this init to restart the container; nil where there is none.
    public var rebootSignal: Int32? {
        switch self {
        case .systemd: SIGINT
        case .busybox: SIGTERM
        case .other: SIGINT
        }
    }
}
