import CLinux
import Glibc

/// A pseudo terminal.
public struct PTY: Sendable {
    /// The end a terminal emulator holds.
    public let master: FileDescriptor
    /// Its number in its devpts.
    public let number: Int32

    /// Opens a new terminal of a devpts instance by its `ptmx`.
    public static func open(ptmx: String = "/dev/ptmx") throws -> PTY {
        try PTY(master: FileDescriptor.open(ptmx, O_RDWR | O_NOCTTY))
    }

    /// Takes a master that is open.
    public init(master: FileDescriptor) throws {
        self.master = master
        try check("ioctl TIOCSPTLCK", "unlock a pseudo terminal") { apus_pty_unlock(master.rawValue) }
        number = try check("ioctl TIOCGPTN", "number a pseudo terminal") { apus_pty_number(master.rawValue) }
    }

    /// Opens the other end, without making it the controlling terminal; needs no path.
    public func openSlave() throws -> FileDescriptor {
        FileDescriptor(
            owning: try check("ioctl TIOCGPTPEER", "open the slave of a pseudo terminal") {
                apus_pty_peer(master.rawValue, O_RDWR | O_NOCTTY | O_CLOEXEC)
            })
    }
}

extension FileDescriptor {
    /// Sets the size of the terminal; its foreground processes get SIGWINCH.
    public func setWindowSize(rows: UInt16, columns: UInt16) throws {
        try check("ioctl TIOCSWINSZ", "resize a terminal") { apus_winsize_set(rawValue, rows, columns) }
    }

    /// The size of the terminal.
    public func windowSize() throws -> (rows: UInt16, columns: UInt16) {
        var rows: UInt16 = 0
        var columns: UInt16 = 0
        try check("ioctl TIOCGWINSZ", "read the size of a terminal") {
            apus_winsize_get(rawValue, &rows, &columns)
        }
        return (rows, columns)
    }
}
