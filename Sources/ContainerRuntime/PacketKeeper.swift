import LinuxSystem

/// Packets that came for a container while nothing was let through to it.
public struct KeptPackets: Sendable, Hashable {
    /// The interface inside that they are for.
    public var interface: String
    /// In the order in which they came; see `FrameTrap.Frame.bytes`.
    public var frames: [[UInt8]]

    /// Packets for an interface.
    public init(interface: String, frames: [[UInt8]]) {
        self.interface = interface
        self.frames = frames
    }
}

/// Keeps the TCP packets that come for a container while nothing is let through to it. Whoever sent them would else wait
/// for an answer for a fifth of a second at least, then twice as long, and so on (RFC 6298), however short the container
/// stood still. Only for interfaces on a bridge; for others packets are lost, as before.
public struct PacketKeeper: Sendable {
    private let trap: FrameTrap
    /// The interface inside, by its address.
    private let names: [[UInt8]: String]
    /// The bridges, and the ports through which packets come in.
    private let bridges: Set<Int32>
    private let ports: Set<Int32>
    /// As much as a few fast senders have under way.
    private static let room: Int32 = 8 << 20

    /// Makes ready for these interfaces; nil if there are none whose packets can be kept.
    public init?(_ interfaces: [NetworkInterface]) throws {
        let own = interfaces.filter { $0.kind == .veth && $0.bridge != nil }.prefix(FrameTrap.mostAddresses)
        let names = own.compactMap { interface in
            interface.address.flatMap(LinkAddress.bytes).map { ($0, interface.name) }
        }
        guard !names.isEmpty else { return nil }
        self.names = Dictionary(names) { first, _ in first }
        let links = try LinkControl().links()
        let bridges = Set(
            links.filter { link in own.contains { $0.bridge == link.name } }.map(\.index))
        // What is filtered where it comes in is taken down before it is filtered.
        let tables = try ArrivalFilter.tables()
        ports = Set(
            links.filter { link in
                bridges.contains(link.master) && !own.contains { $0.hostName == link.name }
                    && !tables.contains { $0.hasPrefix("apus-") && $0.hasSuffix("-\(link.name)") }
            }.map(\.index))
        self.bridges = bridges
        trap = try FrameTrap(for: names.map(\.0), room: Self.room)
    }

    /// Begins; then shut the container off.
    public func begin() throws { try trap.set() }

    /// What has come since the last time. A packet that came just when the container was shut off, or let in again, may
    /// have reached it, too: TCP does not mind.
    public func take() -> [KeptPackets] {
        var kept: [String: [[UInt8]]] = [:]
        for frame in trap.take() {
            // Each passes several interfaces: it counts where it comes into the bridge.
            let isComing =
                frame.isOutgoing ? bridges.contains(frame.interface) : ports.contains(frame.interface)
            guard isComing, let name = names[frame.destination] else { continue }
            kept[name, default: []].append(frame.bytes)
        }
        return kept.map { KeptPackets(interface: $0, frames: $1) }
    }

    /// Waits until something comes.
    public func more() async throws { try await trap.readable() }
}

/// Brings a container packets that were kept for it, from the host's ends of its interfaces.
public struct PacketDelivery: Sendable {
    private let senders: [String: FrameSender]

    /// To a container with these interfaces, which can be reached now.
    public init(_ interfaces: [NetworkInterface]) throws {
        let control = try LinkControl()
        senders = try interfaces.filter { $0.kind == .veth }.reduce(into: [:]) { senders, interface in
            guard let link = try control.link(interface.hostName) else { return }
            senders[interface.name] = try FrameSender(link.index)
        }
    }

    /// Brings some. For interfaces that it has not there is nobody.
    public func bring(_ packets: [KeptPackets]) {
        for kept in packets {
            guard let sender = senders[kept.interface] else { continue }
            for frame in kept.frames { sender.send(frame) }
        }
    }
}
