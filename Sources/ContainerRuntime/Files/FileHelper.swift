import Glibc
import LinuxSystem
import Synchronization

/// The daemon's side of one `FileAgent`.
final class FileHelper: Sendable {
    private let socket: FileDescriptor

    /// Starts a helper, and waits until it is inside the container's root.
    init(program: String, root: ContainerFiles.Root) async throws {
        let (ours, theirs) = try UnixSocket.pair(.seqpacket)
        let mode: String
        let target: FileDescriptor
        switch root {
        case .running(let process, let isPrivileged):
            mode = isPrivileged ? "privileged" : "running"
            target = process.descriptor
        case .stopped(let rootfs):
            mode = "directory"
            do {
                target = try FileDescriptor.open(rootfs, OpenFlags.path | O_DIRECTORY | O_NOFOLLOW)
            } catch let error as SystemError {
                throw ContainerFileError("open", "the container's root file system", errno: error.errno)
            }
        }
        let child = try Spawn([program, "files", mode], fds: [3: theirs, 4: target], directory: "/").start()
        theirs.close()
        // Somebody has to wait for it, whenever it ends.
        Task.detached { _ = try? await child.waitForExit() }
        socket = ours
        guard case .done = try await reply().0 else { throw WireReader.malformed }
    }

    /// Sends a request, and waits for the answer. A failure it reports is thrown.
    func ask(_ request: FileRequest) async throws -> (FileReply, [FileDescriptor]) {
        do {
            try WireSocket.send(request.encoded(), on: socket)
        } catch is SystemError {
            throw Self.gone
        }
        return try await reply()
    }

    private func reply() async throws -> (FileReply, [FileDescriptor]) {
        let message: SocketMessage?
        do {
            try await socket.readable()
            message = try WireSocket.receive(on: socket, wait: false)
        } catch is SystemError {
            throw Self.gone
        }
        guard let message else { throw Self.gone }
        let reply = try FileReply(decoding: message.bytes)
        if case .failed(let error) = reply { throw error }
        return (reply, message.descriptors)
    }

    private static let gone = ContainerFileError(
        .gone,
        "the container's files cannot be reached: it has just ended, or its helper was killed. Try again")

    /// Whether it has ended by itself: a waiting helper says nothing else.
    var hasEnded: Bool { (try? FileDescriptorPoll.isReadable(socket, timeout: 0)) ?? true }

    /// Ends the helper.
    func end() { socket.close() }
}

/// Helpers that wait for the next operation.
final class FileHelperPool: Sendable {
    private let helpers = Mutex<[FileHelper]>([])

    /// One that still runs, if there is any.
    func take() -> FileHelper? {
        helpers.withLock { helpers in
            while let helper = helpers.popLast() {
                if !helper.hasEnded { return helper }
            }
            return nil
        }
    }

    func give(_ helper: FileHelper) {
        let isKept = helpers.withLock { helpers in
            guard helpers.count < 4 else { return false }
            helpers.append(helper)
            return true
        }
        if !isKept { helper.end() }
    }

    func close() {
        helpers.withLock { helpers in
            for helper in helpers { helper.end() }
            helpers.removeAll()
        }
    }
}
