import Glibc

/// Copies in both directions between two pairs of descriptors, in one thread, until one side has said all.
public struct DescriptorRelay {
    /// One way: what was read and not yet written.
    private struct Way {
        let from: Int32
        let to: Int32
        var pending: ArraySlice<UInt8> = []
        var hasEnded = false

        var interest: pollfd? {
            if !pending.isEmpty { return pollfd(fd: to, events: Int16(POLLOUT), revents: 0) }
            return hasEnded ? nil : pollfd(fd: from, events: Int16(POLLIN), revents: 0)
        }

        /// Reads or writes once, whatever is next.
        mutating func step() throws {
            if pending.isEmpty {
                var room = [UInt8](repeating: 0, count: 64 << 10)
                let count = read(from, &room, room.count)
                if count < 0 {
                    if errno == EAGAIN || errno == EINTR { return }
                    throw SystemError("read", "pass bytes on")
                }
                hasEnded = count == 0
                pending = room[..<count]
                return
            }
            let count = pending.withUnsafeBytes { write(to, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EAGAIN || errno == EINTR { return }
                throw SystemError("write", "pass bytes on")
            }
            pending = pending.dropFirst(count)
        }
    }

    /// Copies `input` into `socket` and `socket` into `output`, until `socket` has nothing more to say. Its other end
    /// is told when `input` has ended.
    public static func run(input: Int32, output: Int32, socket: Int32) throws {
        signal(SIGPIPE, SIG_IGN)
        for descriptor in [input, output, socket] {
            _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        }
        var ways = [Way(from: input, to: socket), Way(from: socket, to: output)]
        var isTold = false
        while !(ways[1].hasEnded && ways[1].pending.isEmpty) {
            var waiting: [(Int, pollfd)] = []
            for (index, way) in ways.enumerated() {
                if let interest = way.interest { waiting.append((index, interest)) }
            }
            var entries = waiting.map(\.1)
            try check("poll", "wait for bytes to pass on") { poll(&entries, nfds_t(entries.count), -1) }
            for ((index, _), entry) in zip(waiting, entries) where entry.revents != 0 {
                try ways[index].step()
            }
            if ways[0].hasEnded, ways[0].pending.isEmpty, !isTold {
                isTold = true
                shutdown(socket, Int32(SHUT_WR))
            }
        }
    }
}
