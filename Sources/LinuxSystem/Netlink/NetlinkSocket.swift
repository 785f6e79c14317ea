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

    private func exchange(_ message: NetlinkMessage, _ what: @autoclosure () -> String) throws
        -> [NetlinkMessage]
    {
        let request: UInt16 = 1
        var bytes: [UInt8] = []
        bytes.reserveCapacity(message.payload.count + 16)
        NetlinkBytes.append(UInt32(message.payload.count + 16), to: &bytes)
        NetlinkBytes.append(message.type, to: &bytes)
        NetlinkBytes.append(message.flags | request, to: &bytes)
        NetlinkBytes.append(UInt32(1), to: &bytes)
        NetlinkBytes.append(UInt32(0), to: &bytes)
        bytes += message.payload
        try LinuxSystem.check("sendto", what()) { send(socket.rawValue, bytes, bytes.count, 0) }
        var answers: [NetlinkMessage] = []
        while true {
            let part = try receive(what())
            var offset = 0
            while offset + 16 <= part.count {
                let length = Int(NetlinkBytes.read(part, offset) as UInt32)
                guard length >= 16, offset + length <= part.count else { break }
                let type: UInt16 = NetlinkBytes.read(part, offset + 4)
                let body = Array(part[(offset + 16)..<(offset + length)])
                switch type {
                case 2:  // NLMSG_ERROR, also when there is none
                    try Self.refusal(body, what())
                    return answers
                case 3:  // NLMSG_DONE
                    return answers
                default:
                    answers.append(
                        NetlinkMessage(type, flags: NetlinkBytes.read(part, offset + 6), header: body))
                }
                offset += (length + 3) & ~3
            }
        }
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
