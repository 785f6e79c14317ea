import CLinux
import Dispatch
public import Glibc

/// How a process ended.
public enum ExitStatus: Sendable, Hashable, Codable, CustomStringConvertible {
    /// By itself, with this code.
    case exited(Int32)
    /// By this signal.
    case signaled(Int32)

    /// As a shell tells it: the code, or 128 + signal.
    public var shellCode: Int32 {
        switch self {
        case .exited(let code): code
        case .signaled(let signal): 128 + signal
        }
    }

    /// Whether it ended with code 0.
    public var isSuccess: Bool { self == .exited(0) }

    /// In words.
    public var description: String {
        switch self {
        case .exited(let code): "exited with status \(code)"
        case .signaled(let signal): "killed by signal \(signal)"
        }
    }

    package static func from(how: Int32, status: Int32) -> ExitStatus? {
        switch how {
        case 0: nil
        case 1: .exited(status)
        default: .signaled(status)
        }
    }
}

/// A process held by a pidfd, so that its number can never mean another one.
public struct ProcessDescriptor: Sendable {
    /// Its number, as this process sees it.
    public let pid: pid_t
    /// The pidfd.
    public let descriptor: FileDescriptor

    /// Opens a running process.
    public init(pid: pid_t) throws {
        self.pid = pid
        descriptor = FileDescriptor(
            owning: try check("pidfd_open", "open process \(pid)") { apus_pidfd_open(pid, 0) })
    }

    /// Takes over a pidfd.
    public init(pid: pid_t, owning descriptor: FileDescriptor) {
        self.pid = pid
        self.descriptor = descriptor
    }

    /// Sends a signal. False if the process is gone (or may not be signalled).
    @discardableResult
    public func signal(_ signal: Int32) -> Bool {
        apus_pidfd_send_signal(descriptor.rawValue, signal) == 0
    }

    /// A copy of one of its descriptors: the same open file, in this process. Needs the right to trace it.
    public func duplicate(descriptor number: Int32) throws -> FileDescriptor {
        FileDescriptor(
            owning: try check("pidfd_getfd", "copy descriptor \(number) of process \(pid)") {
                apus_pidfd_getfd(descriptor.rawValue, number)
            })
    }

    /// Whether it has not ended yet. True as well for a zombie that was not waited for: use `hasEnded`.
    public var isAlive: Bool { signal(0) }

    /// Whether it has ended, waited for or not; works for processes that are no children.
    public var hasEnded: Bool { (try? FileDescriptorPoll.isReadable(descriptor, timeout: 0)) ?? true }

    /// Waits for a child without blocking: nil while it runs.
    public func poll() throws -> ExitStatus? { try wait(hang: false) }

    /// Waits for a child, blocking the thread.
    public func waitBlocking() throws -> ExitStatus {
        try wait(hang: true) ?? .exited(0)
    }

    /// Waits for a child without blocking a thread.
    public func waitForExit() async throws -> ExitStatus {
        try await descriptor.readable()
        return try waitBlocking()
    }

    /// Waits until a process has ended that is no child of ours.
    public func waitUntilGone() async throws { try await descriptor.readable() }

    private func wait(hang: Bool) throws -> ExitStatus? {
        var how: Int32 = 0
        var status: Int32 = 0
        try check("waitid", "wait for process \(pid)") {
            apus_wait_pidfd(descriptor.rawValue, hang ? 0 : 1, &how, &status)
        }
        return ExitStatus.from(how: how, status: status)
    }
}

/// Polling descriptors.
public enum FileDescriptorPoll {
    /// Whether there is something to read (or the other end has gone), waiting up to `timeout` milliseconds;
    /// -1 is for ever.
    public static func isReadable(_ descriptor: FileDescriptor, timeout: Int32) throws -> Bool {
        var entry = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
        return try check("poll", "wait for a file descriptor") { Glibc.poll(&entry, 1, timeout) } > 0
    }
}
