import Dispatch
import Glibc
import LinuxSystem
import Synchronization

/// Stands for the network between two machines: what is written at one end comes out at the other. Counts it, and can be
/// cut.
final class Pump: Sendable {
    /// One end.
    let near: FileDescriptor
    /// The other end.
    let far: FileDescriptor
    private let inner: [FileDescriptor]
    private let counts: Mutex<[Int]>
    private let limit: Int
    private let pause: Int
    private let resumed = DispatchSemaphore(value: 0)

    /// How many bytes have gone from near to far.
    var bytesForth: Int { counts.withLock { $0[0] } }
    /// How many bytes have gone from far to near.
    var bytesBack: Int { counts.withLock { $0[1] } }

    /// Begins to pump. It is cut when more than `limit` bytes have gone in one of the directions, and stands still from
    /// `pause` bytes on until it is cut.
    init(cutAfter limit: Int = .max, pauseAfter pause: Int = .max) throws {
        let (near, nearInner) = try UnixSocket.pair(.stream)
        let (far, farInner) = try UnixSocket.pair(.stream)
        self.near = near
        self.far = far
        self.limit = limit
        self.pause = pause
        inner = [nearInner, farInner]
        counts = Mutex([0, 0])
        for (direction, ends) in [(nearInner, farInner), (farInner, nearInner)].enumerated() {
            DispatchQueue(label: "pump").async { self.run(direction, from: ends.0, to: ends.1) }
        }
    }

    /// Cuts it: both ends see the end of the connection.
    func cut() {
        for _ in inner { resumed.signal() }
        for end in inner { _ = shutdown(end.rawValue, Int32(SHUT_RDWR)) }
    }

    private func run(_ direction: Int, from: FileDescriptor, to: FileDescriptor) {
        var room = [UInt8](repeating: 0, count: 256 << 10)
        while true {
            let count = recv(from.rawValue, &room, room.count, 0)
            guard count > 0 else { break }
            let total = counts.withLock { counts in
                counts[direction] += count
                return counts[direction]
            }
            guard total <= limit else { return cut() }
            if total > pause {
                resumed.wait()
                return cut()
            }
            var sent = 0
            while sent < count {
                let part = room.withUnsafeBytes {
                    send(
                        to.rawValue, $0.baseAddress?.advanced(by: sent), count - sent, Int32(MSG_NOSIGNAL))
                }
                guard part > 0 else { return cut() }
                sent += part
            }
        }
        _ = shutdown(to.rawValue, Int32(SHUT_WR))
    }
}
