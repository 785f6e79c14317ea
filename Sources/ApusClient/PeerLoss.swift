import Glibc
package import NIOCore

/// Finding out that the other end of a TCP connection is there no longer. A network that is cut says nothing: without
/// this a connection on which nothing is sent stays open for ever, and one on which something is for a quarter of an hour
/// (tcp(7): tcp_retries2).
package enum PeerLoss {
    /// An option of a socket.
    package typealias Option = ChannelOptions.Types.SocketOption
    /// An option, and what it is set to.
    package typealias Setting = (option: Option, value: Option.Value)

    /// For every connection: ends it half a minute after an idle peer has stopped answering. One that is slow to take
    /// what it is sent is not idle.
    package static let usual: [Setting] = probes(first: 10, interval: 5, count: 4)

    /// For a connection on which little is sent and everything is read at once: ends it that long after the peer has last
    /// answered, whatever was sent meanwhile.
    /// - Parameter limit: at least 3 seconds.
    package static func within(_ limit: Duration) -> [Setting] {
        let seconds = Option.Value(max(3, limit.components.seconds))
        // tcp(7): TCP_USER_TIMEOUT, in milliseconds, overrides the number of probes.
        return probes(first: seconds / 3, interval: seconds / 3, count: 3) + [
            (Option(level: .tcp, name: .init(rawValue: TCP_USER_TIMEOUT)), seconds * 1000)
        ]
    }

    /// socket(7): SO_KEEPALIVE; tcp(7): its times in seconds.
    private static func probes(
        first: Option.Value, interval: Option.Value, count: Option.Value
    ) -> [Setting] {
        [
            (Option(level: .socket, name: .so_keepalive), 1),
            (Option(level: .tcp, name: .init(rawValue: TCP_KEEPIDLE)), first),
            (Option(level: .tcp, name: .init(rawValue: TCP_KEEPINTVL)), interval),
            (Option(level: .tcp, name: .init(rawValue: TCP_KEEPCNT)), count),
        ]
    }
}

extension Channel {
    /// Has the connection end `limit` after the other end has last answered; for connections that are always read.
    /// Nothing on a socket of this machine, whose end is noticed anyway.
    package func noticeLoss(within limit: Duration) async {
        guard remoteAddress?.ipAddress != nil else { return }
        for (option, value) in PeerLoss.within(limit) { try? await setOption(option, value: value).get() }
    }
}
