import CStorage
import Glibc
import LinuxSystem

/// Runs `btrfs send` and `btrfs receive`.
enum BtrfsProgram {
    /// Runs it to its end. The descriptors are closed here: they are the program's.
    static func run(_ arguments: [String], _ descriptors: [Int32: FileDescriptor], _ action: String)
        async throws
    {
        let errors = try FileDescriptor.memory(named: "errors")
        let fds = descriptors.merging([2: errors]) { own, _ in own }
        let child = try Spawn(["btrfs"] + arguments, fds: fds, directory: "/").start()
        for descriptor in descriptors.values { descriptor.close() }
        let status = try await withTaskCancellationHandler {
            // Not cancellable: a killed child ends.
            try await Task { try await child.waitForExit() }.value
        } onCancel: {
            child.signal(SIGKILL)
        }
        try Task.checkCancellation()
        guard status.isSuccess else {
            let words = String(decoding: (try? errors.readFromStart(limit: 4096)) ?? [], as: UTF8.self)
            let lines = words.trimmingSpaces.split(separator: "\n").prefix(3).joined(separator: "; ")
            throw StorageError(.system, "cannot \(action): btrfs \(arguments[0]) \(status): \(lines)")
        }
    }
}

/// The last word of a stream whose format has none.
enum StreamReply {
    /// Waits for it.
    static func read(from socket: Int32) throws {
        let reader = RecordReader(socket: socket)
        guard TreeReply(rawValue: try reader.byte()) == .done else {
            let reason = try reader.counted(upTo: TreeFormat.longestMessage, "a message")
            throw PeerRefusal(reason: String(decoding: reason, as: UTF8.self))
        }
    }

    /// All is there.
    static func done(to socket: Int32) throws {
        let writer = RecordWriter(socket: socket)
        try writer.byte(TreeReply.done.rawValue)
        try writer.flush()
    }

    /// It could not be taken in. Closes the socket.
    static func refuse(_ reason: String, to socket: FileDescriptor) {
        let writer = RecordWriter(socket: socket.rawValue)
        try? writer.byte(TreeReply.failed.rawValue)
        try? Array(reason.utf8.prefix(TreeFormat.longestMessage)).withUnsafeBytes { try writer.counted($0) }
        try? writer.flush()
        socket.close()
    }
}
