import ApusClient
import ApusCore
import Glibc
import Logging
import NIOCore
import NIOPosix
import NIOSSL

/// Serves the API on a TCP port, at one address at a time. It can be moved while requests are under way: connections that
/// are there go on.
actor HTTPSListener: NetworkListener {
    private struct Place {
        let address: ListenAddress
        let channel: any Channel
    }

    private static let freeBind = ChannelOptions.Types.SocketOption(
        level: .ip, name: NIOBSDSocket.Option(rawValue: IP_FREEBIND))

    private let trust: TrustService
    private let upgrade: UpgradeChannel
    private let gate: ConnectionGate
    private let logger: Logger
    private var place: Place?
    private var tls: NIOSSLContext?

    init(trust: TrustService, upgrade: UpgradeChannel, gate: ConnectionGate, logger: Logger) {
        self.trust = trust
        self.upgrade = upgrade
        self.gate = gate
        self.logger = logger
        trust.onRemoval { [gate] in gate.end(certificate: $0) }
    }

    func move(to address: ListenAddress?, commit: @Sendable () throws -> Void) async throws {
        guard address != place?.address else { return try commit() }
        let old = place
        // An address and the same port of all addresses cannot be open together.
        let collides = old?.address.port == address?.port
        if collides { await close(old) }
        do {
            let fresh = try await open(address)
            do {
                try commit()
            } catch {
                await close(fresh)
                throw error
            }
            place = fresh
        } catch {
            if collides { await reopen(old) }
            throw error
        }
        if !collides { await close(old) }
        logger.info("network", metadata: ["address": "\(address?.description ?? "none")"])
    }

    func resume(at address: ListenAddress) async throws {
        place = try await open(address, ahead: true)
        logger.info("network", metadata: ["address": "\(address)"])
    }

    private func reopen(_ former: Place?) async {
        do {
            place = try await open(former?.address)
        } catch {
            place = nil
            logger.error("the network is served no longer", metadata: ["reason": "\(error)"])
        }
    }

    private func close(_ place: Place?) async { try? await place?.channel.close() }

    /// - Parameter ahead: whether the machine need not have the address yet.
    private func open(_ address: ListenAddress?, ahead: Bool = false) async throws -> Place? {
        guard let address else { return nil }
        let context = try tls ?? ServerTLS.context(trust.identity)
        tls = context
        // On a machine without IPv6 all addresses are those of IPv4.
        let hosts = address.host.isEmpty ? ["::", "0.0.0.0"] : [address.host]
        for host in hosts {
            do {
                return Place(address: address, channel: try await bind(host, address.port, context))
            } catch let error as IOError {
                let noFamily = [EAFNOSUPPORT, EADDRNOTAVAIL].contains(error.errnoCode)
                if noFamily, host != hosts.last { continue }
                if ahead, !address.host.isEmpty, error.errnoCode == EADDRNOTAVAIL {
                    logger.warning(
                        "the machine does not have the address of core.https_address yet",
                        metadata: ["address": "\(address)"])
                    let channel = try await bind(host, address.port, context, ahead: true)
                    return Place(address: address, channel: channel)
                }
                throw Self.refusal(address, error.errnoCode)
            }
        }
        return nil
    }

    private func bind(
        _ host: String, _ port: Int, _ context: NIOSSLContext, ahead: Bool = false
    ) async throws -> any Channel {
        try await PeerLoss.usual.reduce(ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)) {
            $0.childChannelOption($1.option, value: $1.value)
        }
        .serverChannelOption(.backlog, value: 1024)
        // ip(7): an address that is not there, or not yet. It holds for IPv6 as well.
        .serverChannelOption(Self.freeBind, value: ahead ? 1 : 0)
        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        .childChannelOption(.allowRemoteHalfClosure, value: true)
        .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
        .childChannelInitializer { [trust, upgrade, gate, logger] channel in
            channel.eventLoop.makeCompletedFuture {
                let address = channel.remoteAddress?.ipAddress ?? "unknown"
                let connection = ClientConnection(channel, from: address, trust: trust)
                guard gate.admit(connection) else {
                    logger.debug("too many connections", metadata: ["address": "\(address)"])
                    return channel.close(promise: nil)
                }
                let pipeline = channel.pipeline.syncOperations
                try pipeline.addHandler(HardEnd())
                try pipeline.addHandler(ServerTLS.handler(context))
                try pipeline.addHandler(HandshakeHandler(connection, gate))
                let value = try upgrade.pipeline(of: channel, connection, logger)
                Task { await upgrade.handle(value: value, logger: logger) }
            }
        }
        .bind(to: SocketAddress(ipAddress: host, port: port)).get()
    }

    private static func refusal(_ address: ListenAddress, _ code: CInt) -> ServiceError {
        let reason =
            switch code {
            case EADDRINUSE: "something else listens there"
            case EADDRNOTAVAIL: "this machine has no such address"
            default: String(cString: strerror(code))
            }
        return .badRequest("Cannot listen at \(address): \(reason)")
    }
}
