import Glibc

/// A conversation with the kernel about the network of one namespace.
public struct NetlinkSocket: Sendable {
    /// What is talked about.
    public enum Family: Int32, Sendable {
        /// Links, addresses, routes.
        case route = 0
        /// Packet filters.
        case netfilter = 12
    }

    private let socket: FileDescriptor

    /// A conversation about the network namespace of this thread, or another one.
    public init(_ family: Family = .route, in namespace: FileDescriptor? = nil) throws {
        socket = try NetworkNamespace.within(namespace) {
            let netlink: Int32 = 16
            return FileDescriptor(
                owning: try LinuxSystem.check("socket", "talk to the kernel about the network") {
                    Glibc.socket(
                        netlink, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), family.rawValue)
                })
        }
        // Errors then come with words (NETLINK_EXT_ACK), and without the question (NETLINK_CAP_ACK).
        for option: Int32 in [11, 10] {
            var on: Int32 = 1
            _ = setsockopt(socket.rawValue, 270, option, &on, 4)
        }
    }

    /// Has the kernel do something.
    /// - Parameter what: what is being done, in plain words, for the error.
    public func perform(_ message: NetlinkMessage, _ what: @autoclosure () -> String) throws {
        var message = message
        message.flags |= NetlinkMessage.acknowledge
        _ = try exchange(message, what())
    }

    /// Asks the kernel, and returns its answers.
    public func ask(_ message: NetlinkMessage, _ what: @autoclosure () -> String) throws -> [NetlinkMessage] {
        var message = message
        if message.flags & NetlinkMessage.dump != NetlinkMessage.dump {
            message.flags |= NetlinkMessage.acknowledge
        }
        return try exchange(message, what())
    }

    /// Has the kernel's packet filter do several things: all of them, or none.
    public func performBatch(_ messages: [NetlinkMessage], _ what: @autoclosure () -> String) throws {
        // struct nfgenmsg of the frame: any family, and nftables' number in the network's order of bytes.
        let frame: [UInt8] = [0, 0, 0, 10]
        var bytes = NetlinkMessage(16, header: frame).encoded(number: 0)
        for (index, message) in messages.enumerated() {
            var message = message
            message.flags |= NetlinkMessage.acknowledge
            bytes += message.encoded(number: UInt32(index + 1))
        }
        bytes += NetlinkMessage(17, header: frame).encoded(number: UInt32(messages.count + 1))
        try LinuxSystem.check("sendto", what()) { send(socket.rawValue, bytes, bytes.count, 0) }
        var waiting = messages.count
        var failure: (any Error)?
        while waiting > 0 {
            for (type, _, body) in Self.parts(try receive(what())) where type == 2 {
                do { try Self.refusal(body, what()) } catch { failure = failure ?? error }
                waiting -= 1
            }
        }
        if let failure { throw failure }
    }

    private func exchange(_ message: NetlinkMessage, _ what: @autoclosure () -> String) throws
        -> [NetlinkMessage]
    {
        let bytes = message.encoded(number: 1)
        try LinuxSystem.check("sendto", what()) { send(socket.rawValue, bytes, bytes.count, 0) }
        var answers: [NetlinkMessage] = []
        while true {
            for (type, flags, body) in Self.parts(try receive(what())) {
                switch type {
                case 2:  // NLMSG_ERROR, also when there is none
                    try Self.refusal(body, what())
                    return answers
                case 3:  // NLMSG_DONE
                    return answers
                default: answers.append(NetlinkMessage(type, flags: flags, header: body))
                }
            }
        }
    }

    /// The messages in what was received at once.
    private static func parts(_ bytes: [UInt8]) -> [(type: UInt16, flags: UInt16, body: [UInt8])] {
        var parts: [(UInt16, UInt16, [UInt8])] = []
        var offset = 0
        while offset + 16 <= bytes.count {
            let length = Int(NetlinkBytes.read(bytes, offset) as UInt32)
            guard length >= 16, offset + length <= bytes.count else { break }
            parts.append(
                (
                    NetlinkBytes.read(bytes, offset + 4), NetlinkBytes.read(bytes, offset + 6),
                    Array(bytes[(offset + 16)..<(offset + length)])
                ))
            offset += (length + 3) & ~3
        }
        return parts
    }

    private func receive(_ what: @autoclosure () -> String) throws -> [UInt8] {
        // The kernel makes no larger ones.
        let room = 1 << 15
        var failure: (any Error)?
        let bytes = [UInt8](unsafeUninitializedCapacity: room) { buffer, used in
            do {
                used = try LinuxSystem.check("recv", what()) {
                    recv(socket.rawValue, buffer.baseAddress, room, 0)
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    private static func refusal(_ body: [UInt8], _ what: @autoclosure () -> String)
        throws
    {
        let code = -(NetlinkBytes.read(body, 0) as Int32)
        guard code != 0 else { return }
        // errno, the header of the question, then attributes; number 1 is the kernel's own words.
        let words = NetlinkAttribute.parse(body.dropFirst(20)).first { $0.type == 1 }?.text
        throw SystemError(
            call: words.map { "netlink: \($0)" } ?? "netlink", errno: code, context: what())
    }
}

/// Work in another network namespace.
public enum NetworkNamespace {
    /// Runs `body` with this thread in a namespace (nil: where it is). `body` must not wait for other tasks.
    public static func within<T>(_ namespace: FileDescriptor?, _ body: () throws -> T) throws -> T {
        guard let namespace else { return try body() }
        let home = try FileDescriptor.open("/proc/thread-self/ns/net", O_RDONLY)
        try Namespaces.enter(namespace, .network)
        defer {
            do {
                try Namespaces.enter(home, .network)
            } catch {
                // Going on in a container's network would be worse than not going on.
                fatalError("cannot return to the host's network namespace: \(error)")
            }
        }
        return try body()
    }
}
