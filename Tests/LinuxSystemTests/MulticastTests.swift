import Glibc
import LinuxSystem
import Testing

@Suite("Multicast memberships and I/O priorities")
struct MulticastTests {
    @Test("The kernel's list of IPv4 groups")
    func igmp() {
        let text = """
            Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter
            1\tlo        :     1      V3
            \t\t\t\t010000E0     1 0:00000000\t\t0
            2\teth0      :     2      V3
            \t\t\t\tFB0000E0     1 0:00000000\t\t0
            \t\t\t\t010000E0     1 0:00000000\t\t0

            """
        #expect(
            MulticastMembership.parse(igmp: text) == [
                .init(index: 2, interface: "eth0", address: [224, 0, 0, 251])
            ])
        #expect(MulticastMembership.parse(igmp: "").isEmpty)
        #expect(MulticastMembership.parse(igmp: "Idx\n\t\t\t\tnonsense\n2\n").isEmpty)
    }

    @Test("The kernel's list of IPv6 groups, without those that go with an address")
    func igmp6() {
        let text = """
            1    lo              ff020000000000000000000000000001     1 0000000C 0
            2    eth0            ff0200000000000000000000000000fb     1 00000004 0
            2    eth0            ff0200000000000000000001ff000001     1 00000004 0
            2    eth0            short     1 00000004 0

            """
        let groups = MulticastMembership.parse(igmp6: text)
        #expect(groups.map(\.interface) == ["eth0"])
        #expect(groups.first?.address == [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb])
    }

    @Test("What one socket has joined, another can join", arguments: [4, 16])
    func membership(length: Int) throws {
        let family = length == 4 ? AF_INET : AF_INET6
        let group: [UInt8] =
            length == 4 ? [239, 7, 7, 7] : [0xff, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7]
        let index = if_nametoindex("lo")
        let place = MulticastMembership.Group(index: index, interface: "lo", address: group)
        let first = FileDescriptor(owning: socket(family, Int32(SOCK_DGRAM.rawValue), 0))
        let second = FileDescriptor(owning: socket(family, Int32(SOCK_DGRAM.rawValue), 0))
        #expect(MulticastMembership.of(first, in: place) == nil)
        let sender: [UInt8] = length == 4 ? [127, 0, 0, 9] : [UInt8](repeating: 0, count: 15) + [9]
        let wanted = MulticastMembership(interface: "lo", group: group, mode: 1, sources: [sender])
        try wanted.join(first, index: index)
        #expect(MulticastMembership.groups(ofProcess: getpid()).contains(place))
        #expect(MulticastMembership.interfaces(ofProcess: getpid())["lo"] == index)
        let found = try #require(MulticastMembership.of(first, in: place))
        #expect(found == wanted)
        try MulticastMembership(interface: "lo", group: group).join(second, index: index)
        #expect(MulticastMembership.of(second, in: place)?.sources == [])
        #expect(throws: SystemError.self) { try found.join(first, index: index) }
    }

    @Test("An I/O priority is read as it was set, and is none before")
    func priority() throws {
        // A thread of its own: the test's thread is others' as well.
        let child = try Spawn(["sleep", "60"]).start()
        defer {
            child.signal(SIGKILL)
            _ = try? child.waitBlocking()
        }
        #expect(try IOPriority.ofThread(child.pid) == nil)
        let idle = IOPriority(rawValue: 3 << 13)
        try idle.set(ofThread: child.pid)
        #expect(try IOPriority.ofThread(child.pid) == idle)
    }
}
