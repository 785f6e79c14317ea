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
        /// A host with a network; afterwards nothing of it may be left in the kernel.
        private func withNetwork(_ name: String, _ body: (TestHost, String) throws -> Void) throws {
            let host = try TestHost(name, network: true)
            let id = host.id ?? ""
            defer { host.tearDown() }
            let network = TestHost.networkName
            do {
                try body(host, network)
            } catch {
                throw Trouble("\(error)\n--- apusd: \(text(of: host.log).suffix(3000))")
            }
            host.deleteContainers()
            host.deleteNetworks()
            #expect(access("/sys/class/net/\(network)", F_OK) != 0, "the bridge is left")
            #expect(!(try must(["nft", "list", "tables"]).text.contains(id)), "a table of nftables is left")
            #expect(!host.state.processes.values.contains("dnsmasq"), "dnsmasq is left")
        }

        /// What DHCP tells busybox's client, put into effect.
        private static let script = """
            #!/bin/busybox sh
            case $1 in bound|renew)
              busybox ip addr flush dev $interface
              busybox ip addr add $ip/$mask dev $interface
              busybox ip route add default via $router
              echo "search $domain" > /etc/resolv.conf
              for d in $dns; do echo "nameserver $d" >> /etc/resolv.conf; done
            esac

            """

        /// Launches busybox on the network and has it ask for an address, which is returned.
        @discardableResult
        private func launch(_ name: String, on host: TestHost, _ options: String...) throws -> String {
            try host.apus(["launch", try host.image(.busybox), name] + options)
            return try lease(name, on: host)
        }

        private func lease(_ name: String, on host: TestHost) throws -> String {
            try host.apus(
                "file", "push", "--mode", "0755", "-", "\(name)/run/dhcp",
                input: .bytes(Data(Self.script.utf8)))
            try host.exec(name, "busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-t", "10", "-s", "/run/dhcp")
            return try address(name, on: host)
        }

        private func address(_ name: String, on host: TestHost) throws -> String {
            let shown = try host.exec(name, "busybox", "ip", "-4", "-o", "addr", "show", "dev", "eth0")
            let words = shown.split(separator: " ").map(String.init)
            guard let at = words.firstIndex(of: "inet"), let found = words[at + 1].split(separator: "/").first
            else {
                throw Trouble("\(name) has no address: \(shown)")
            }
            return String(found)
        }

        @Test func containersReachEachOtherByNameAndTheWorldThroughNAT() throws {
            try withNetwork("net-reach") { host, network in
                let first = try launch("c1", on: host)
                let second = try launch("c2", on: host)
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
                #expect(try lease("c1", on: host) == first)
                #expect(try host.apus("config", "get", "c1", "volatile.eth0.hwaddr").text == mac)
            }
        }

        @Test func connectionsSurviveSnapshotAndRestoreStopAndStart() throws {
            try withNetwork("net-tcp") { host, _ in
                let address = try launch("c1", on: host)
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
                #expect(try lease("c1", on: host) == chosen)
                #expect(try host.apus("network", "list-leases", network).text.contains("STATIC"))
                let state = try host.query("/1.0/instances/c1/state")["network"]["eth0"]
                #expect(state["addresses"].array.contains { $0["address"].string == chosen })
                try host.apus("snapshot", "c1", "s", "--stateful")
                try host.apus("restore", "c1", "s")
                #expect(try address("c1", on: host) == chosen)
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
                try refuse("in use by", "network", "delete", network)
                try refuse("in use by", "network", "rename", network, "aptestx")
                try refuse("not found", "network", "show", "aptesty")
                try host.apus("init", try host.image(.busybox), "c1")
                try refuse("no network", "config", "device", "add", "c1", "eth9", "nic", "network=aptesty")
                try refuse(
                    "not one that", "config", "device", "add", "c1", "eth9", "nic", "network=\(network)",
                    "ipv4.address=192.0.2.9")
                #expect(access("/sys/class/net/aptestx", F_OK) != 0)
            }
        }

        @Test func theTwentyCyclesWithANetworkAndLimits() throws {
            try withNetwork("net-cycles") { host, _ in
                try host.launch(
                    .debian12, "d1", "-c", "limits.memory=512MiB", "-c", "limits.cpu=1", "-c",
                    "limits.processes=500")
                try eventually("d1 to have an address") { (try? address4(host, "d1")) != nil }
                let address = try address4(host, "d1")
                let guest = try Guest.start(in: "d1", of: .debian12, on: host)
                var last = try guest.verify()
                for cycle in 1...Integration.cycles {
                    if cycle.isMultiple(of: 2) {
                        try host.apus("stop", "d1", "--stateful")
                        try host.apus("start", "d1")
                    } else {
                        try host.apus("snapshot", "d1", "s", "--stateful")
                        try host.apus("restore", "d1", "s")
                        try host.apus("delete", "d1/s")
                    }
                    let now = try guest.verify("cycle \(cycle)")
                    #expect(now.id == last.id && now.tick > last.tick, "cycle \(cycle)")
                    last = now
                    #expect(try address4(host, "d1") == address, "cycle \(cycle)")
                    try must(["ping", "-c", "1", "-W", "5", address])
                }
            }
        }

        private func address4(_ host: TestHost, _ name: String) throws -> String {
            let addresses = try host.query("/1.0/instances/\(name)/state")["network"]["eth0"]["addresses"]
                .array
            guard let found = addresses.first(where: { $0["family"].string == "inet" })?["address"].string
            else {
                throw Trouble("\(name) has no address: \(addresses)")
            }
            return found
        }
    }
}

/// A machine outside: a network namespace that has no route to any network of Apus. A server in it says "outside".
private struct Outside {
    let name = "apout\(getpid())"
    let address = "198.18.77.2"
    let gateway = "198.18.77.1"
    private let server: Program

    init() throws {
        try must(["ip", "netns", "add", name])
        try must([
            "ip", "link", "add", "apo\(getpid())", "type", "veth", "peer", "name", "eth0", "netns", name,
        ])
        try must(["ip", "addr", "add", "\(gateway)/24", "dev", "apo\(getpid())"])
        try must(["ip", "link", "set", "apo\(getpid())", "up"])
        try must(["ip", "-n", name, "addr", "add", "\(address)/24", "dev", "eth0"])
        try must(["ip", "-n", name, "link", "set", "eth0", "up"])
        // Nothing here knows a way to the network of the containers: only what comes from the machine's own address
        // can be answered.
        server = try Program([
            "ip", "netns", "exec", name, "busybox", "nc", "-ll", "-p", "7000", "-e", "/bin/busybox", "echo",
            "outside",
        ])
        try eventually("the server outside to listen") {
            try must(["ip", "netns", "exec", name, "busybox", "netstat", "-tln"]).text.contains(":7000")
        }
    }

    func remove() {
        server.signal(SIGKILL)
        _ = try? server.wait(limit: .seconds(5))
        _ = try? run(["ip", "netns", "del", name])
        _ = try? run(["ip", "link", "del", "apo\(getpid())"])
    }
}

/// A client on the host with one connection that it keeps.
private final class Client {
    private let socket: Int32

    init(_ address: String, _ port: UInt16) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        inet_pton(AF_INET, address, &name.sin_addr)
        let result = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            close(socket)
            throw Trouble("cannot connect to \(address):\(port)")
        }
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(socket) }

    func send(_ text: String) { _ = Glibc.send(socket, text, text.utf8.count, Int32(MSG_NOSIGNAL)) }

    func expect(_ text: String) throws {
        var got: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 4096)
        while got.count < text.utf8.count {
            let count = recv(socket, &room, room.count, 0)
            guard count > 0 else {
                throw Trouble("the connection broke (errno \(errno)) waiting for \(text)")
            }
            got += room[..<count]
        }
        guard String(decoding: got, as: UTF8.self) == text else {
            throw Trouble("got \(String(decoding: got, as: UTF8.self)) instead of \(text)")
        }
    }

    /// Sends a word and waits for its echo.
    func check(_ word: String) throws {
        send(word + "\n")
        try expect(word + "\n")
    }
}
