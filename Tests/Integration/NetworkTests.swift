import Foundation
import Glibc
import Testing

/// Whether networks can be made on this machine.
var machineHasNetworks: Bool {
    ["nft", "dnsmasq", "ip"].allSatisfy { program in
        ["/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"].contains { access($0 + program, X_OK) == 0 }
    }
}

extension Integration {
    /// Networks and interfaces: on a host of their own, which has a network.
    @Suite(.enabled(if: machineHasNetworks, "needs nft and dnsmasq")) struct Networks {
        @Test func containersReachEachOtherByNameAndTheWorldThroughNAT() throws {
            try withNetwork("net-reach") { host, network in
                let first = try host.launchWithAddress("c1")
                let second = try host.launchWithAddress("c2")
                #expect(first != second)
                try host.exec("c1", "busybox", "ping", "-c", "1", "-W", "5", second)
                try host.exec("c1", "busybox", "ping", "-c", "1", "-W", "5", "c2.apus")
                try host.exec("c2", "busybox", "ping", "-c", "1", "-W", "5", "c1")
                let leases = try host.apus("network", "list-leases", network).text
                #expect(leases.contains(first) && leases.contains(second) && leases.contains("GATEWAY"))
                #expect(try host.apus("list").text.contains(first))

                // A machine outside, which knows nothing of the network.
                let outside = try Outside()
                defer { outside.remove() }
                #expect(
                    try host.exec("c1", "busybox", "nc", "-w", "5", outside.address, "7000") == "outside")

                // A stop and a start: the same addresses.
                let mac = try host.apus("config", "get", "c1", "volatile.eth0.hwaddr").text
                try host.apus("restart", "c1", "--force")
                #expect(try host.lease("c1") == first)
                #expect(try host.apus("config", "get", "c1", "volatile.eth0.hwaddr").text == mac)
            }
        }

        @Test func connectionsSurviveSnapshotAndRestoreStopAndStart() throws {
            try withNetwork("net-tcp") { host, _ in
                let address = try host.launchWithAddress("c1")
                try host.exec("c1", "busybox", "ip", "-6", "addr", "add", "fd00:1::7/64", "dev", "eth0")
                try host.exec(
                    "c1", "sh", "-c",
                    "busybox setsid busybox nc -ll -p 7000 -e /bin/busybox cat < /dev/null > /dev/null 2>&1 &"
                )
                var connection: Client?
                try eventually("the server in c1 to answer") {
                    connection = try? Client(address, 7000)
                    return connection != nil
                }
                let client = try #require(connection)
                try client.check("before")
                let before = try shape("c1", host)
                try host.apus("snapshot", "c1", "s", "--stateful")
                try host.apus("restore", "c1", "s")
                #expect(try shape("c1", host) == before)
                try client.check("after the restore")
                try host.apus("snapshot", "c1", "s2", "--stateful")
                try client.check("after a snapshot")
                for cycle in 1...3 {
                    try host.apus("stop", "c1", "--stateful")
                    client.send("while it is stopped \(cycle)\n")
                    try host.apus("start", "c1")
                    try client.expect("while it is stopped \(cycle)\n")
                    try client.check("after start \(cycle)")
                    #expect(try shape("c1", host) == before, "cycle \(cycle)")
                }
            }
        }

        /// What was configured by hand and by DHCP; router advertisements come when they like.
        private func shape(_ name: String, _ host: TestHost) throws -> String {
            let text = try host.exec(
                name, "sh", "-c",
                "busybox ip -4 addr; busybox ip route; busybox ip -6 addr | busybox grep -o fd00:1::7/64")
            return text.split(separator: "\n").filter { !$0.contains("valid_lft") }
                .map { $0.replacing(#/@if[0-9]+/#, with: "") }.joined(separator: "\n")
        }

        @Test func chosenAddressesHotPlugAndUnplug() throws {
            try withNetwork("net-plug") { host, network in
                let gateway = try host.apus("network", "get", network, "ipv4.address").text
                let chosen = gateway.split(separator: ".").prefix(3).joined(separator: ".") + ".77"
                try host.apus(
                    "launch", try host.image(.busybox), "c1", "-c", "limits.memory=256MiB")
                try host.apus("network", "attach", network, "c1", "eth1")
                try host.exec("c1", "busybox", "ip", "link", "show", "eth1")
                try host.apus("network", "detach", network, "c1", "eth1")
                #expect(!(try host.exec("c1", "busybox", "ip", "-o", "link").contains("eth1")))

                try host.apus(
                    "config", "device", "add", "c1", "eth0", "nic", "network=\(network)",
                    "ipv4.address=\(chosen)")
                #expect(try host.lease("c1") == chosen)
                #expect(try host.apus("network", "list-leases", network).text.contains("STATIC"))
                let state = try host.query("/1.0/instances/c1/state")["network"]["eth0"]
                #expect(state["addresses"].array.contains { $0["address"].string == chosen })
                try host.apus("snapshot", "c1", "s", "--stateful")
                try host.apus("restore", "c1", "s")
                #expect(try host.address("c1") == chosen)

                // Another one can have the address as soon as the first is gone.
                try host.apus("delete", "c1", "--force")
                try eventually("\(chosen) to be free") {
                    try !host.apus("network", "list-leases", network).text.contains(chosen)
                }
                try host.apus("launch", try host.image(.busybox), "c2", "--network", network)
                try host.apus("config", "device", "set", "c2", "eth0", "ipv4.address=\(chosen)")
                #expect(try host.lease("c2") == chosen)
            }
        }

        @Test func whatCannotBeIsRefusedInPlainWords() throws {
            try withNetwork("net-refuse") { host, network in
                func refuse(_ words: String, _ arguments: String...) throws {
                    let outcome = try host.apus(arguments, expecting: nil)
                    #expect(
                        outcome.code != 0 && outcome.complaint.contains(words), "\(arguments): \(outcome)")
                }
                let own = try host.apus("network", "get", network, "ipv4.address").text
                try refuse("2-15 characters", "network", "create", "sixteen-letters-")
                try refuse("overlaps", "network", "create", "aptestx", "ipv4.address=\(own)")
                try refuse("already", "network", "create", network)
                try refuse("kernel's own", "network", "create", "lo")
                try refuse("is not an address", "network", "create", "aptestx", "ipv4.address=10.0.0.0/24")
                try refuse("Unknown", "network", "create", "aptestx", "ipv4.adress=none")
                try refuse("in use by profile default;", "network", "delete", network)
                try refuse("in use by profile default;", "network", "rename", network, "aptestx")
                try refuse(
                    "no network \"aptesty\"", "profile", "device", "add", "default", "eth9", "nic",
                    "network=aptesty")
                try refuse(
                    "called \"eth0\" inside already", "profile", "device", "add", "default", "second", "nic",
                    "network=\(network)", "name=eth0")
                try refuse("Ubuntu", "network", "set", network, "fan.type=vxlan")
                try refuse("not one of native", "network", "set", network, "bridge.driver=openvswitch")
                try refuse("is not there", "network", "set", network, "bridge.external_interfaces=aptesty")
                try refuse("list of networks", "network", "set", network, "ipv4.routes=10.0.0.1/8")
                try refuse("not found", "network", "show", "aptesty")
                try host.apus("init", try host.image(.busybox), "c1")
                try refuse("in use by container c1, profile default;", "network", "delete", network)
                try refuse("no network", "config", "device", "add", "c1", "eth9", "nic", "network=aptesty")
                try refuse(
                    "not one that", "config", "device", "add", "c1", "eth9", "nic", "network=\(network)",
                    "ipv4.address=192.0.2.9")
                for keys in [
                    ["nictype=p2p", "limits.max=fast"], ["nictype=p2p", "ipv4.routes=10.0.0.1/8"],
                    ["nictype=p2p", "host_name=sixteen-letters-"], ["nictype=p2p", "name=eth0"],
                    ["nictype=physical", "parent=\(network)"], ["nictype=macvlan", "parent=aptesty"],
                    ["network=\(network)", "security.ipv4_filtering=true"],
                ] {
                    let add = ["config", "device", "add", "c1", "eth9", "nic"] + keys
                    #expect(try host.apus(add, expecting: nil).code != 0, "\(keys)")
                }
                #expect(try host.query("/1.0/containers/c1")["devices"]["eth9"].string == nil)
                #expect(access("/sys/class/net/aptestx", F_OK) != 0)
            }
        }

        @Test func theKeysOfANetworkAreWhatTheMachineDoes() throws {
            try withNetwork("net-keys") { host, network in
                let folder = "\(host.folder)/networks/\(network)"
                try must([
                    "ip", "link", "add", "apx\(getpid())", "type", "veth", "peer", "name", "apy\(getpid())",
                ])
                defer { _ = try? run(["ip", "link", "del", "apx\(getpid())"]) }
                let id = try host.query("/1.0/networks/\(network)")["config"]["ipv6.address"].string ?? ""
                let prefix = id.split(separator: "/").first.map { String($0.dropLast()) } ?? ""
                try host.apus(
                    "network", "set", network, "ipv4.routes=10.213.0.0/24,10.214.0.0/24",
                    "ipv4.dhcp.expiry=7m",
                    "ipv6.dhcp.stateful=true", "ipv6.dhcp.expiry=9m",
                    "ipv6.dhcp.ranges=\(prefix)50-\(prefix)99",
                    "raw.dnsmasq=log-dhcp", "bridge.external_interfaces=apx\(getpid())", "ipv4.firewall=false"
                )
                let routes = try must(["ip", "route", "show", "dev", network]).text
                #expect(routes.contains("10.213.0.0/24") && routes.contains("10.214.0.0/24"))
                let configuration = text(of: folder + "/dnsmasq.conf")
                #expect(configuration.contains(",7m\n") && configuration.contains("50,\(prefix)99,64,9m\n"))
                #expect(configuration.hasSuffix("\nlog-dhcp\n"))
                #expect(
                    try must(["ip", "-o", "link", "show", "master", network]).text.contains("apx\(getpid())"))
                let table = "apus-\(host.id ?? "")-\(network)"
                let rules = try must(["nft", "list", "table", "inet", table]).text
                #expect(!rules.contains("dport { 53, 67 }") && rules.contains("dport { 53, 547 }"))

                // An edit of a state that somebody has changed since is refused: it is in the file, not in the keys.
                try host.apus(
                    "network", "edit", network,
                    input: .bytes(Data("config: {ipv4.routes: 10.214.0.0/24}\ndescription: edited\n".utf8)))
                #expect(try host.apus("network", "show", network).text.contains("edited"))
                let now = try must(["ip", "route", "show", "dev", network]).text
                #expect(!now.contains("10.213.0.0/24") && now.contains("10.214.0.0/24"))
                #expect(
                    try !must(["ip", "-o", "link", "show", "master", network]).text.contains("apx\(getpid())")
                )
                let misspelt = try host.apus(
                    "network", "edit", network, input: .bytes(Data("confg: {}\n".utf8)), expecting: nil)
                #expect(misspelt.code != 0 && misspelt.complaint.contains("is no key"))
            }
        }

        @Test func anotherMachineIsOnTheNetworkThroughATunnel() throws {
            try withNetwork("net-tunnel") { host, network in
                let wire = try Wire()
                defer { wire.remove() }
                try must(["ip", "addr", "add", "198.18.78.254/24", "dev", wire.here])
                try host.apus(
                    "network", "set", network, "tunnel.t.protocol=vxlan", "tunnel.t.id=7",
                    "tunnel.t.local=198.18.78.254", "tunnel.t.remote=198.18.78.1",
                    "tunnel.t.interface=\(wire.here)")
                let own = try host.apus("network", "get", network, "ipv4.address").text
                let parts = own.split(separator: ".")
                let address = parts.prefix(3).joined(separator: ".")
                let there = ["ip", "-n", wire.name]
                try must(
                    there + [
                        "link", "add", "vx0", "mtu", "1400", "type", "vxlan", "id", "7", "remote",
                        "198.18.78.254", "local", "198.18.78.1", "dstport", "8472", "dev", "eth0",
                    ])
                try must(there + ["addr", "add", "\(address).250/24", "dev", "vx0"])
                try must(there + ["link", "set", "vx0", "up"])
                let container = try host.launchWithAddress("c1")
                try must([
                    "ip", "netns", "exec", wire.name, "ping", "-c", "1", "-W", "5", "-s", "1300", container,
                ])
                #expect(try host.exec("c1", "cat", "/sys/class/net/eth0/mtu") == "1400")
                try host.apus("network", "set", network, "tunnel.t.id=8")
                #expect(try must(["ip", "-d", "link", "show", "\(network)-t"]).text.contains("id 8"))
                let orphan = try host.apus("network", "unset", network, "tunnel.t.protocol", expecting: nil)
                #expect(orphan.code != 0 && orphan.complaint.contains("has no protocol"), "\(orphan)")
                try host.apus(
                    "network", "set", network, "tunnel.t.protocol=", "tunnel.t.id=", "tunnel.t.local=",
                    "tunnel.t.remote=", "tunnel.t.interface=")
                #expect(access("/sys/class/net/\(network)-t", F_OK) != 0)
            }
        }

        @Test func fiftyContainersComeAndGo() throws {
            try withNetwork("net-fifty") { host, network in
                let image = try host.image(.busybox)
                let names = (1...50).map { "f\($0)" }
                try host.apus("init", image, "f0")
                for name in names { try host.apus("copy", "f0", name) }
                try host.apus(["start"] + names, limit: .seconds(180))
                let ports = try host.query("/1.0/networks/\(network)/state")["bridge"]["upper_devices"].array
                #expect(ports.count == 50)
                let addresses = Set(try ["f1", "f25", "f50"].map { try host.lease($0) })
                #expect(addresses.count == 3)
                try host.exec("f1", "busybox", "ping", "-c", "1", "-W", "5", "f50.apus")
                try host.apus(["stop", "--force"] + names, limit: .seconds(180))
                let left = try must(["ip", "-o", "link", "show", "master", network]).text
                #expect(left.isEmpty, "\(left)")
                try host.apus(["delete"] + ["f0"] + names, limit: .seconds(180))
                #expect(
                    names.allSatisfy { !text(of: "\(host.folder)/networks/\(network)/hosts").contains($0) })
            }
        }
    }
}
