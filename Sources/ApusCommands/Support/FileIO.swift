package import Glibc
package import NIOCore

/// A call on a file or terminal that failed.
package struct FileFailure: Error, CustomStringConvertible {
    /// What was being done.
    package let what: String
    /// What the kernel said.
    package let errno: Int32

    package init(_ what: String, errno: Int32 = Glibc.errno) {
        self.what = what
        self.errno = errno
    }

    package var description: String { "cannot \(what): \(String(cString: strerror(errno)))" }
}

/// Plain reads and writes on descriptors.
package enum FileIO {
    /// How much is read or written at once.
    package static let chunk = 128 << 10

    /// Writes everything, waiting where the descriptor does not block.
    package static func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) throws(FileFailure) {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count >= 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            } else if errno == EAGAIN {
                var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&wait, 1, -1)
            } else if errno != EINTR {
                throw FileFailure("write")
            }
        }
    }

    /// Writes all of a buffer.
    package static func writeAll(_ buffer: ByteBuffer, to descriptor: Int32) throws {
        try buffer.withUnsafeReadableBytes { bytes in try writeAll(bytes, to: descriptor) }
    }

    /// Reads once; nil at the end of the file.
    package static func read(_ descriptor: Int32) throws -> ByteBuffer? {
        var buffer = ByteBuffer()
        while true {
            var failure: Int32 = 0
            let count = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: chunk) { room in
                let count = Glibc.read(descriptor, room.baseAddress, min(room.count, chunk))
                failure = count < 0 ? errno : 0
                return max(0, count)
            }
            switch failure {
            case 0: return count == 0 ? nil : buffer
            case EINTR: continue
            case EAGAIN:
                var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                _ = poll(&wait, 1, -1)
            case EIO where isatty(descriptor) == 1: return nil
            default: throw FileFailure("read", errno: failure)
            }
        }
    }

    /// Opens a file, does something with it, and closes it.
    package static func with<Result>(
        _ path: String, _ flags: Int32, mode: mode_t = 0o644, _ body: (Int32) async throws -> Result
    ) async throws -> Result {
        let descriptor = open(path, flags | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw FileFailure("open \(path)") }
        defer { close(descriptor) }
        return try await body(descriptor)
    }

    /// A pipe that neither blocks nor is inherited: what is written to the second end comes out of the first.
    package static func pipe() -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else { return (-1, -1) }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        return (ends[0], ends[1])
    }

    /// All of standard input, as text.
    package static func standardInput() throws -> String {
        var all = ByteBuffer()
        while var part = try read(STDIN_FILENO) { all.writeBuffer(&part) }
        return String(buffer: all)
    }
}
