import Glibc
import LinuxSystem

/// Moves bytes between file descriptors and websockets, as fast as the slower of the two.
enum StreamPump {
    /// As much as one read takes: a pipe's whole buffer.
    private static let chunk = 65_536

    /// Sends everything a descriptor gives until its other end is closed, then the end mark.
    static func send(from descriptor: FileDescriptor, to socket: any MessageSocket) async throws {
        try descriptor.setNonBlocking(true)
        while let bytes = try await read(descriptor) {
            try await socket.send(bytes)
        }
    }

    /// Writes everything a client sends to a descriptor until the client marks the end or goes.
    static func receive(from socket: any MessageSocket, into descriptor: FileDescriptor) async throws {
        try descriptor.setNonBlocking(true)
        while case .data(let bytes, _)? = try await next(socket) {
            try await write(bytes, to: descriptor)
        }
    }

    /// Reads and forgets what a client sends until it goes.
    static func drain(_ socket: any MessageSocket) async {
        while (try? await socket.receive()) != nil {}
    }

    /// The next bytes of a descriptor; nil at its end. A terminal whose programs have gone says EIO.
    static func read(_ descriptor: FileDescriptor) async throws -> [UInt8]? {
        while true {
            do {
                let bytes = try descriptor.read(upTo: chunk)
                return bytes.isEmpty ? nil : bytes
            } catch let error as SystemError where error.errno == EAGAIN {
                try await descriptor.readable()
            } catch let error as SystemError where error.errno == EIO || error.errno == ECONNRESET {
                return nil
            }
        }
    }

    /// Writes all bytes, waiting whenever the descriptor is full.
    static func write(_ bytes: [UInt8], to descriptor: FileDescriptor) async throws {
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { room in
                Glibc.write(descriptor.rawValue, room.baseAddress.map { $0 + offset }, bytes.count - offset)
            }
            if count >= 0 {
                offset += count
            } else if errno == EAGAIN {
                try await descriptor.writable()
            } else if errno != EINTR {
                throw SystemError("write", "pass input on")
            }
        }
    }

    /// A text message has no place in a stream of bytes; some clients send their bytes as text all the same.
    private static func next(_ socket: any MessageSocket) async throws -> ClientMessage? {
        let message = try await socket.receive()
        if case .text(let text)? = message { return .data(Array(text.utf8), isLast: true) }
        return message
    }
}
