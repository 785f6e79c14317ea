import Glibc
import LinuxSystem
import Networking
import Testing

/// A network namespace of its own, gone with this value.
private struct Namespace {
    let file: FileDescriptor

    init() throws {
        let home = try FileDescriptor.open("/proc/thread-self/ns/net", O_RDONLY)
        try Namespaces.unshare(.network)
        defer { try? Namespaces.enter(home, .network) }
        file = try FileDescriptor.open("/proc/thread-self/ns/net", O_RDONLY)
    }
}

@Suite("Interfaces, in a network namespace of the test's own", .enabled(if: getuid() == 0, "needs root"))
struct NetlinkTests {
    @Test("A bridge with a port in another namespace, addresses and routes")
    func bridge() throws {
        let here = try Namespace()
        let there = try Namespace()
        let control = try LinkControl(in: here.file)
        try control.makeBridge("br7", address: "00:16:3e:01:02:03", mtu: 1400)
        let bridge = try #require(try control.link("br7"))
        #expect(bridge.kind == "bridge" && bridge.address == "00:16:3e:01:02:03" && bridge.mtu == 1400)
        #expect(throws: SystemError.self) {
            try control.makeBridge("br7", address: "00:16:3e:01:02:03", mtu: nil)
        }
        try control.change(bridge.index, { $0.isUp = true }, "bring it up")

        var outer = LinkControl.Veth("host0")
        outer.master = bridge.index
        outer.isUp = true
        var inner = LinkControl.Veth("eth0")
        inner.address = "00:16:3e:aa:bb:cc"
        try control.makeVeth(outer, there: inner, in: there.file)
        let inside = try LinkControl(in: there.file)
        let link = try #require(try inside.link("eth0"))
        #expect(link.kind == "veth" && link.address == "00:16:3e:aa:bb:cc" && !link.isUp)
        #expect(try #require(try control.link("host0")).master == bridge.index)
        try inside.change(link.index, { $0.isUp = true }, "bring it up")

        let addresses = AddressControl(inside.socket)
        let network = try #require(IPNetwork("10.9.8.2/24"))
        try addresses.add(network.bytes, prefix: 24, to: link.index, "eth0")
        #expect(try addresses.addresses().contains { $0.text == "10.9.8.2" && $0.prefix == 24 })
        #expect(
            try addresses.routes().contains { $0.destination == [10, 9, 8, 0] && $0.index == link.index })
        let address = try #require(try addresses.addresses().first { $0.text == "10.9.8.2" })
        try addresses.remove(address)
        try addresses.remove(address)
        try addresses.replay(.address, address.raw, "bring it back")
        #expect(try addresses.addresses().contains { $0.text == "10.9.8.2" })

        try control.remove("host0")
        try control.remove("host0")
        #expect(try inside.link("eth0") == nil)
    }

    @Test("The end that is made inside can have a number of one's choice")
    func numbered() throws {
        let here = try Namespace()
        let there = try Namespace()
        var inner = LinkControl.Veth("eth0")
        inner.index = 77
        try LinkControl(in: there.file).makeVeth(inner, there: LinkControl.Veth("host0"), in: here.file)
        #expect(try #require(try LinkControl(in: there.file).link("eth0")).index == 77)
        #expect(try LinkControl(in: here.file).link("host0") != nil)
    }

    @Test("What leaves an interface is limited, dropped, and let out again")
    func queues() throws {
        let here = try Namespace()
        let control = try LinkControl(in: here.file)
        try control.makeVeth(LinkControl.Veth("a0"), there: LinkControl.Veth("b0"), in: here.file)
        let link = try #require(try control.link("a0"))
        let traffic = try TrafficControl(in: here.file)
        try traffic.letAll(link.index, "a0")
        try traffic.limit(link.index, to: 8_000_000, "a0")
        #expect(try traffic.queue(link.index)?.kind == "tbf")
        // In place of what is there; more than fits into 32 bits.
        try traffic.limit(link.index, to: 80_000_000_000, "a0")
        #expect(try traffic.queue(link.index)?.kind == "tbf")
        try traffic.dropAll(link.index, "a0")
        #expect(try traffic.queue(link.index)?.kind == "blackhole")
        try traffic.letAll(link.index, "a0")
        try traffic.letAll(link.index, "a0")
        #expect(try !["tbf", "blackhole"].contains(traffic.queue(link.index)?.kind))
    }

    @Test("A filter of what arrives is a table of its own, which goes away")
    func filters() throws {
        let here = try Namespace()
        try LinkControl(in: here.file).makeVeth(
            LinkControl.Veth("a0"), there: LinkControl.Veth("b0"), in: here.file)
        try NetworkNamespace.within(here.file) {
            var filter = ArrivalFilter(table: "t-a0", interface: "a0")
            filter.sender = "00:16:3e:01:02:03"
            filter.senderIPv4 = "10.1.2.3"
            filter.bytesPerSecond = 1_250_000
            try filter.apply()
            try filter.apply()
            #expect(try ArrivalFilter.tables() == ["t-a0"])
            filter.table = "t-none"
            filter.interface = "none"
            // Kernels since 6.16 wait for the interface to come.
            try? filter.apply()
            try ArrivalFilter.remove(table: "t-none")
            try ArrivalFilter.remove(table: "t-a0")
            try ArrivalFilter.remove(table: "t-a0")
            #expect(try ArrivalFilter.tables().isEmpty)
        }
    }

    @Test("Routes of ours take each other's place, and are known again")
    func routes() throws {
        let here = try Namespace()
        let control = try LinkControl(in: here.file)
        try control.makeVeth(LinkControl.Veth("a0"), there: LinkControl.Veth("b0"), in: here.file)
        let table = AddressControl(control.socket)
        let links = try ["a0", "b0"].map { try #require(try control.link($0)).index }
        for index in links { try control.change(index, { $0.isUp = true }, "bring it up") }
        for text in ["10.7.0.0/16", "fd42:7::/64"] {
            let network = try #require(IPNetwork(text))
            let prefix = UInt8(network.prefix)
            for index in links { try table.addRoute(to: network.bytes, prefix: prefix, through: index, "x") }
            let found = try table.routes().filter {
                $0.origin == AddressControl.ownOrigin && $0.destination == network.bytes
            }
            #expect(found.map(\.index).contains(links[1]))
            for index in links { try table.removeRoute(to: network.bytes, prefix: prefix, through: index) }
            #expect(try !table.routes().contains { $0.origin == AddressControl.ownOrigin })
        }
    }

    @Test("Errors say what was being done")
    func errors() throws {
        let control = try LinkControl(in: Namespace().file)
        do {
            try control.change(4711, { $0.isUp = true }, "bring nothing up")
            Issue.record("it worked")
        } catch {
            #expect("\(error)".contains("bring nothing up"))
        }
    }
}
