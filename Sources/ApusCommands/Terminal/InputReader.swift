import Dispatch
import Glibc
package import NIOCore

/// Reads a descriptor on a thread of its own, so that it may be a terminal, a pipe or a file, and leaves its flags alone.
package final class InputReader: Sendable {
    private let descriptor: Int32
    private let queue = DispatchQueue(label: "apus.input")
    /// A pipe that makes a waiting read return.
    private let wake = FileIO.pipe()

    package init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(wake.read)
        close(wake.write)
    }

    /// The next bytes; nil at the end, or once the task is cancelled.
    package func next() async throws -> ByteBuffer? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                queue.async { continuation.resume(with: Result { try self.read() }) }
            }
        } onCancel: {
            Output.write("!", to: wake.write)
        }
    }

    private func read() throws -> ByteBuffer? {
        var waits = [
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: wake.read, events: Int16(POLLIN), revents: 0),
        ]
        while poll(&waits, 2, -1) < 0 && errno == EINTR {}
        if waits[1].revents != 0 { return nil }
        return try FileIO.read(descriptor)
    }
}

/// Writes to a descriptor on a thread of its own, so that a slow reader holds up nothing else.
package final class OutputWriter: Sendable {
    private let descriptor: Int32
    private let queue: DispatchQueue

    package init(_ descriptor: Int32) {
        self.descriptor = descriptor
        queue = DispatchQueue(label: "apus.output.\(descriptor)")
    }

    /// Writes all of it.
    package func write(_ buffer: ByteBuffer) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            queue.async {
                continuation.resume(with: Result { try FileIO.writeAll(buffer, to: self.descriptor) })
            }
        }
    }
}
