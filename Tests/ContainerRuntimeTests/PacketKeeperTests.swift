import ContainerRuntime
import Glibc
import LinuxSystem
import Testing

/// A network namespace that ends with its last user.
private struct Wire {
    let file: FileDescriptor

    init() throws {
        let home = try FileDescriptor.open("/proc/thread-self/ns/net", O_RDONLY)
        try Namespaces.unshare(.network)
        defer { try? Namespaces.enter(home, .network) }
        file = try FileDescriptor.open("/proc/thread-self/ns/net", O_RDONLY)
    }

    func inside<Value>(_ body: () throws -> Value) throws -> Value {
        let home = try FileDescriptor.open("/proc/thread-self/ns/net", O_RDONLY)
        try Namespaces.enter(file, .network)
        defer { try? Namespaces.enter(home, .network) }
        return try body()
    }
}

@Suite("Packets that come while nothing is let through", .enabled(if: getuid() == 0, "needs root"))
struct PacketKeeperTests {
    private static let own = "00:16:3e:00:00:01"
    private static let peer = "00:16:3e:00:00:02"

    /// A frame as a trap hands it out: nothing left to be summed, then addresses, kind, and the beginning of IPv4.
    private static func frame(to: String, protocol number: UInt8) -> [UInt8] {
        let addresses = (LinkAddress.bytes(to) ?? []) + (LinkAddress.bytes(peer) ?? [])
        let header: [UInt8] = [0x45, 0, 0, 40, 0, 0, 0, 0, 64, number, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1]
        return [UInt8](repeating: 0, count: 10) + addresses + [0x08, 0x00] + header
            + [UInt8](repeating: 7, count: 20)
    }

    /// Makes a port of a bridge, and its other end in another namespace.
    private func plug(_ port: String, _ address: String, _ bridge: NetworkLink, _ host: Wire, _ inside: Wire)
        throws
    {
        var outer = LinkControl.Veth(port)
        outer.master = bridge.index
        outer.isUp = true
        var inner = LinkControl.Veth("eth0")
        inner.address = address
        try LinkControl(in: host.file).makeVeth(outer, there: inner, in: inside.file)
        let control = try LinkControl(in: inside.file)
        let link = try #require(try control.link("eth0"))
        try control.change(link.index, { $0.isUp = true }, "bring it up")
    }

    private func wait(for trap: FrameTrap) -> [FrameTrap.Frame] {
        for _ in 0..<1000 {
            let frames = trap.take()
            if !frames.isEmpty { return frames }
            poll(nil, 0, 5)
        }
        return []
    }

    @Test func tcpIsKeptAndBroughtAndNothingElse() throws {
        let (host, container, other) = (try Wire(), try Wire(), try Wire())
        let control = try LinkControl(in: host.file)
        try control.makeBridge("br7", address: "00:16:3e:00:00:07", mtu: nil)
        let bridge = try #require(try control.link("br7"))
        try control.change(bridge.index, { $0.isUp = true }, "bring it up")
        try plug("own", Self.own, bridge, host, container)
        try plug("peer", Self.peer, bridge, host, other)
        let interface = NetworkInterface(
            kind: .veth, name: "eth0", address: Self.own, hostName: "own", bridge: "br7")

        let keeper = try #require(try host.inside { try PacketKeeper([interface]) })
        try host.inside { try keeper.begin() }
        let (udp, tcp): (UInt8, UInt8) = (17, 6)
        try other.inside {
            let link = try #require(try LinkControl().link("eth0"))
            let sender = try FrameSender(link.index)
            sender.send(Self.frame(to: Self.own, protocol: udp))
            sender.send(Self.frame(to: Self.peer, protocol: tcp))
            sender.send(Self.frame(to: Self.own, protocol: tcp))
        }
        var kept: [KeptPackets] = []
        for _ in 0..<1000 where kept.isEmpty {
            kept = keeper.take()
            if kept.isEmpty { poll(nil, 0, 5) }
        }
        // What comes before the frame, the kernel may have found out.
        let sent = [Self.frame(to: Self.own, protocol: tcp).dropFirst(10)]
        #expect(kept.map(\.interface) == ["eth0"])
        #expect(kept.first?.frames.map { $0.dropFirst(10) } == sent)
        #expect(keeper.take().isEmpty)

        let address = try #require(LinkAddress.bytes(Self.own))
        let trap = try container.inside {
            let trap = try FrameTrap(for: [address], room: 1 << 20)
            try trap.set()
            return trap
        }
        try host.inside { try PacketDelivery([interface]).bring(kept) }
        #expect(wait(for: trap).map { $0.bytes.dropFirst(10) } == sent)
    }

    @Test func withoutABridgeThereIsNothingToKeep() throws {
        let alone = NetworkInterface(kind: .veth, name: "eth0", address: Self.own, hostName: "x")
        #expect(try PacketKeeper([alone]) == nil)
        #expect(try PacketKeeper([]) == nil)
    }
}
