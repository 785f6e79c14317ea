import CLinux
public import Glibc

/// Kinds of unix sockets.
public enum UnixSocketKind: Sendable {
    /// A stream of bytes.
    case stream
    /// Whole messages, in order, connected.
    case seqpacket
    /// Whole messages.
    case datagram

    fileprivate var type: Int32 {
        switch self {
        case .stream: Int32(SOCK_STREAM.rawValue)
        case .seqpacket: Int32(SOCK_SEQPACKET.rawValue)
        case .datagram: Int32(SOCK_DGRAM.rawValue)
        }
    }
}

/// Who is at the other end of a unix socket.
public struct PeerCredentials: Sendable, Hashable {
    /// Process.
    public var pid: pid_t
    /// User.
    public var uid: uid_t
    /// Group.
    public var gid: gid_t
}

/// A message with the file descriptors that came along.
public struct SocketMessage: Sendable {
    /// The bytes; empty when the other end has closed.
    public var bytes: [UInt8]
    /// The descriptors.
    public var descriptors: [FileDescriptor]
    /// The message (or its list of descriptors) was longer than there was room for.
    public var isTruncated: Bool
}

/// Unix sockets.
public enum UnixSocket {
    /// Two connected sockets.
    public static func pair(_ kind: UnixSocketKind) throws -> (FileDescriptor, FileDescriptor) {
        var ends: [Int32] = [-1, -1]
        let type = kind.type | Int32(SOCK_CLOEXEC.rawValue)
        try check("socketpair", "make a pair of sockets") { socketpair(AF_UNIX, type, 0, &ends) }
        return (FileDescriptor(owning: ends[0]), FileDescriptor(owning: ends[1]))
    }

    /// Listens at a path; what lies there is removed first.
    public static func listen(
        _ path: String, _ kind: UnixSocketKind, mode: mode_t = 0o600, backlog: Int32 = 64
    ) throws -> FileDescriptor {
        let socket = try make(kind)
        unlink(path)
        let before = umask(0o777 & ~mode)
        defer { umask(before) }
        _ = try withShortPath(path) { short in
            try check("bind", "make the socket \(path)") { apus_unix_bind(socket.rawValue, short) }
        }
        try check("listen", "listen on \(path)") { Glibc.listen(socket.rawValue, backlog) }
        return socket
    }

    /// Connects to a path.
    public static func connect(_ path: String, _ kind: UnixSocketKind) throws -> FileDescriptor {
        let socket = try make(kind)
        _ = try withShortPath(path) { short in
            try check("connect", "connect to \(path)") { apus_unix_connect(socket.rawValue, short) }
        }
        return socket
    }

    /// Takes the next connection.
    public static func accept(_ listener: FileDescriptor) throws -> FileDescriptor {
        FileDescriptor(
            owning: try check("accept4", "accept a connection") {
                apus_accept(listener.rawValue)
            })
    }

    /// A socket's address has room for 107 bytes: longer paths go by way of their directory's descriptor.
    private static func withShortPath<T>(_ path: String, _ body: (String) throws -> T) throws -> T {
        guard path.utf8.count > 107, let slash = path.lastIndex(of: "/") else { return try body(path) }
        let directory = try FileDescriptor.open(String(path[..<slash]), OpenFlags.path | O_DIRECTORY)
        return try body(directory.procPath + path[slash...])
    }

    private static func make(_ kind: UnixSocketKind) throws -> FileDescriptor {
        FileDescriptor(owning: try check("socket", "make a unix socket") { apus_unix_socket(kind.type) })
    }
}

extension FileDescriptor {
    /// Sends one message, with descriptors if any (at most 64).
    public func send(_ bytes: [UInt8], descriptors: [FileDescriptor] = [], wait: Bool = true) throws {
        let numbers = descriptors.map(\.rawValue)
        let flags = wait ? 0 : Int32(MSG_DONTWAIT)
        // The descriptors may be held by nothing but this array, which is released after its last use.
        let sent = try withExtendedLifetime(descriptors) {
            try bytes.withUnsafeBytes { room in
                try check("sendmsg", "send a message") {
                    apus_send_fds(rawValue, room.baseAddress, room.count, numbers, numbers.count, flags)
                }
            }
        }
        if sent < bytes.count {
            throw SystemError(call: "sendmsg", errno: EMSGSIZE, context: "send a whole message")
        }
    }

    /// Receives one message. With `wait` off, EAGAIN is thrown when there is none.
    public func receive(limit: Int = 65536, descriptors capacity: Int = 16, wait: Bool = true) throws
        -> SocketMessage
    {
        var numbers = [Int32](repeating: -1, count: capacity)
        var count = 0
        var flags: Int32 = 0
        var failure: (any Error)?
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { room, used in
            do {
                used = try check("recvmsg", "receive a message") {
                    apus_receive_fds(
                        rawValue, room.baseAddress, limit, &numbers, capacity, &count,
                        wait ? 0 : Int32(MSG_DONTWAIT), &flags)
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return SocketMessage(
            bytes: bytes, descriptors: numbers[..<count].map { FileDescriptor(owning: $0) },
            isTruncated: flags & Int32(MSG_TRUNC | MSG_CTRUNC) != 0)
    }

    /// Who is at the other end.
    public func peerCredentials() throws -> PeerCredentials {
        var peer = PeerCredentials(pid: 0, uid: 0, gid: 0)
        try check("getsockopt", "read who is at the other end of a socket") {
            apus_peer_credentials(rawValue, &peer.pid, &peer.uid, &peer.gid)
        }
        return peer
    }
}
