import Networking
import Testing

@Suite("Subnets and names")
struct SubnetTests {
    @Test("An address with its network is read, and told")
    func reading() throws {
        let network = try #require(IPNetwork("10.0.3.17/20"))
        #expect(network.description == "10.0.3.17/20")
        #expect(network.network == "10.0.0.0/20")
        #expect(network.range == ("10.0.0.2", "10.0.15.254"))
        let six = try #require(IPNetwork("fd42:1:2:3::1/64"))
        #expect(six.isIPv6)
        #expect(six.network == "fd42:1:2:3::/64")
    }

    @Test(
        "What is no network is refused",
        arguments: [
            "", "10.0.0.1", "10.0.0.1/33", "10.0.0/24", "fd42::1/129", "10.0.0.1/-1", "x/24", "10.0.0.1/24/2",
        ])
    func refused(text: String) { #expect(IPNetwork(text) == nil) }

    @Test("Only addresses that an interface can have are hosts")
    func hosts() throws {
        for good in ["10.0.0.1/24", "10.0.0.5/30", "fd42::1/64"] {
            #expect(try #require(IPNetwork(good)).isHost)
        }
        for bad in ["10.0.0.0/24", "10.0.0.255/24", "10.0.0.1/32", "fd42::/64"] {
            #expect(try !#require(IPNetwork(bad)).isHost)
        }
    }

    @Test("Networks overlap when one holds the other")
    func overlap() throws {
        let wide = try #require(IPNetwork("10.0.0.1/8"))
        let small = try #require(IPNetwork("10.20.30.1/24"))
        let other = try #require(IPNetwork("10.20.31.1/24"))
        #expect(wide.overlaps(small) && small.overlaps(wide) && small.overlaps(small))
        #expect(!small.overlaps(other))
        #expect(try !wide.overlaps(#require(IPNetwork("fd42::1/64"))))
    }

    @Test("A free subnet overlaps nothing that is taken")
    func free() throws {
        let taken = (0..<255).compactMap { IPNetwork("10.\($0).0.1/16") }
        let found = try #require(IPNetwork.freeIPv4(taken))
        #expect(found.description.hasPrefix("10.255."))
        #expect(IPNetwork.freeIPv4(try [#require(IPNetwork("10.0.0.0/8"))]) == nil)
        #expect(try #require(IPNetwork.freeIPv6([])).description.hasPrefix("fd42:"))
    }

    @Test("Names the kernel takes", arguments: ["apusbr0", "br", "a.b-c_d", "fifteen-letters"])
    func goodNames(name: String) { #expect(LinkNames.problem(name) == nil) }

    @Test(
        "Names the kernel does not take",
        arguments: ["", "x", "sixteen-letters-", "a b", "a/b", "lo", "all", ".x", "-x", "ä1"])
    func badNames(name: String) { #expect(LinkNames.problem(name) != nil) }

    @Test("Random names and addresses are what the kernel takes")
    func random() {
        for _ in 0..<20 {
            #expect(LinkNames.problem(LinkNames.randomHostEnd()) == nil)
            #expect(LinkNames.randomAddress().utf8.count == 17)
        }
    }
}

@Suite("What a network is made from")
struct PlanTests {
    private func plan() -> BridgePlan {
        var plan = BridgePlan(
            name: "br7", address: "00:16:3e:00:00:01", directory: "/nowhere", table: "apus-1-br7")
        plan.ipv4 = IPNetwork("10.1.2.1/24")
        plan.ipv6 = IPNetwork("fd42:1:2:3::1/64")
        return plan
    }

    @Test("The packet filter names only its own table, and no rule of a family that is off")
    func filter() {
        var plan = plan()
        plan.ipv4NAT = true
        let text = PacketFilter.rules(plan)
        #expect(text.contains("delete table inet apus-1-br7"))
        #expect(text.contains("ip saddr 10.1.2.0/24 ip daddr != 10.1.2.0/24 masquerade"))
        #expect(!text.contains("ip6 saddr"))
        plan.ipv4 = nil
        plan.ipv6 = nil
        #expect(!PacketFilter.rules(plan).contains("chain"))
    }

    @Test("The DHCP server hands out what the keys say")
    func server() {
        var plan = plan()
        #expect(DHCPServer(plan).text().contains("dhcp-range=10.1.2.2,10.1.2.254,1h"))
        #expect(DHCPServer(plan).text().contains("ra-stateless"))
        plan.ipv4Ranges = "10.1.2.10-10.1.2.20, 10.1.2.30-10.1.2.40"
        plan.ipv6Stateful = true
        plan.dnsMode = "none"
        let text = DHCPServer(plan).text()
        #expect(text.contains("dhcp-range=10.1.2.10,10.1.2.20,1h"))
        #expect(text.contains("dhcp-range=10.1.2.30,10.1.2.40,1h"))
        #expect(text.contains("dhcp-range=fd42:1:2:3::2,"))
        plan.ipv6Ranges = "fd42:1:2:3::50-fd42:1:2:3::99"
        plan.ipv6LeaseTime = "30m"
        plan.rawDnsmasq = "log-queries\nlog-dhcp"
        let more = DHCPServer(plan).text()
        #expect(more.contains("dhcp-range=fd42:1:2:3::50,fd42:1:2:3::99,64,30m\n"))
        #expect(more.hasSuffix("\nlog-queries\nlog-dhcp\n"))
        #expect(text.contains("port=0"))
    }
}
