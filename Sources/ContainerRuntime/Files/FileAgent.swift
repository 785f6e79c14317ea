import CLinux
import Glibc
import LinuxSystem

/// The helper behind `apus-runtime files`: works on files inside a container's own root, for the daemon.
///
/// For a running container it joins its user and mount namespaces and becomes its root user; for a stopped
/// one it works below the root file system's directory. It answers one request after another on a socket, and
/// ends with it, with the container, or after some seconds without a request (it keeps the container's mounts
/// alive).
public struct FileAgent {
    private static let idleMilliseconds: Int32 = 5000

    private let socket: FileDescriptor
    private let container: FileDescriptor?
    private let work: FileWork

    /// Runs the helper with the arguments after `files`: `running`, `privileged` (running, without a user
    /// namespace of its own) or `directory`. Descriptor 3 is the socket; 4 the pidfd of the container's init,
    /// or the directory. Must be called while the process has one thread only. Returns when the helper has
    /// nothing more to do.
    public static func run(_ arguments: [String]) throws {
        let socket = FileDescriptor(owning: 3)
        let target = FileDescriptor(owning: 4)
        do {
            for descriptor in [socket, target] { try descriptor.setInheritable(false) }
            let agent = try FileAgent(mode: arguments.first ?? "", socket: socket, target: target)
            try WireSocket.send(FileReply.done.encoded(), on: socket)
            try agent.serve()
        } catch {
            let failure = ContainerFileError(.gone, "cannot enter the container: \(error)")
            try? WireSocket.send(FileReply.failed(failure).encoded(), on: socket)
            throw error
        }
    }

    private init(mode: String, socket: FileDescriptor, target: FileDescriptor) throws {
        self.socket = socket
        umask(0)
        // Opened now: the container's /proc is not ours.
        let descriptors = try FileDescriptor.open("/proc/self/fd", OpenFlags.path | O_DIRECTORY)
        let root: FileDescriptor
        switch mode {
        case "running":
            try Namespaces.enter(target, [.user, .mount])
            try check("setgroups", "drop supplementary groups") { apus_setgroups(0, nil) }
            try check("setresgid", "become the container's root") { apus_setresgid(0) }
            try check("setresuid", "become the container's root") { apus_setresuid(0) }
            root = try FileDescriptor.open("/", OpenFlags.path | O_DIRECTORY)
            container = target
        case "privileged":
            try Namespaces.enter(target, [.mount])
            root = try FileDescriptor.open("/", OpenFlags.path | O_DIRECTORY)
            container = target
        case "directory":
            root = target
            container = nil
        default: throw WireReader.malformed
        }
        work = FileWork(FileResolver(root: root, descriptors: descriptors))
    }

    private func serve() throws {
        while try waitForRequest() {
            guard let message = try WireSocket.receive(on: socket) else { break }
            var descriptor: FileDescriptor?
            let reply: FileReply
            do {
                (reply, descriptor) = try work.perform(FileRequest(decoding: message.bytes))
            } catch let error as ContainerFileError {
                reply = .failed(error)
            } catch let error as SystemError {
                reply = .failed(ContainerFileError(.system, error.description))
            }
            try WireSocket.send(reply.encoded(), on: socket, descriptors: descriptor.map { [$0] } ?? [])
        }
        work.cancel()
    }

    /// Waits for the next request; false when there will be none.
    private func waitForRequest() throws -> Bool {
        var entries = [pollfd(fd: socket.rawValue, events: Int16(POLLIN), revents: 0)]
        if let container { entries.append(pollfd(fd: container.rawValue, events: Int16(POLLIN), revents: 0)) }
        // While a file is being written the daemon streams into it, for as long as it takes.
        let timeout = work.isWriting ? -1 : Self.idleMilliseconds
        let ready = try check("poll", "wait for a request") { poll(&entries, nfds_t(entries.count), timeout) }
        if entries.count > 1 && entries[1].revents != 0 { return false }
        return ready > 0
    }
}
