import Foundation
import Glibc
import Testing

extension Integration {
    /// Kinds of interfaces and their keys.
    @Suite(.enabled(if: machineHasNetworks, "needs nft and dnsmasq")) struct NICs {
        /// What a network lets through is counted, and compared with what the time since allows.
        @Test func whatIsReceivedAndSentIsLimited() throws {
            try withNetwork("nic-limits") { host, network in
                let address = try host.launchWithAddress("c1")
                let gateway = try host.apus("network", "get", network, "ipv4.address").text
                let own = String(gateway.split(separator: "/")[0])
                let rate = 1_000_000.0  // bytes in a second: 8Mbit
                try host.apus("config", "device", "override", "c1", "eth0", "limits.max=8Mbit")

                // To the container: more than is let through waits or is dropped, whatever the machine's pace.
                func received() throws -> Double {
                    let state = try host.query("/1.0/instances/c1/state")
                    return Double(state["network"]["eth0"]["counters"]["bytes_received"].int ?? 0)
                }
                let before = try received()
                let started = ContinuousClock.now
                try Datagrams.send(4_000_000, to: address)
                let passed = try received() - before
                let seconds = (ContinuousClock.now - started) / .seconds(1)
                #expect(passed <= rate * seconds + 65_536 + 3000, "\(passed) bytes in \(seconds) s")
                let end = try hostEnd("c1", host)
                #expect(try queue(end).kind == "tbf" && queue(end).waits > 0)

                // From the container, which counts what it sends; the receiver what arrives.
                let sink = try Datagrams.Sink(own)
                let began = ContinuousClock.now
                try host.exec(
                    "c1", "sh", "-c",
                    "dd if=/dev/zero bs=1400 count=3000 2>/dev/null | busybox nc -u -w 1 \(own) \(sink.port) || true",
                    expecting: nil)
                let arrived = Double(sink.bytes())
                let took = (ContinuousClock.now - began) / .seconds(1)
                // A second's worth is let in at once.
                #expect(arrived <= rate * (took + 1) + 65_536, "\(arrived) bytes in \(took) s")

                // They come back with the container, and change while it runs.
                try host.apus("snapshot", "c1", "s", "--stateful")
                try host.apus("restore", "c1", "s")
                try checkLimited(host)
                try host.apus("stop", "c1", "--stateful")
                try host.apus("start", "c1")
                try checkLimited(host)
                let port = try hostEnd("c1", host)
                try host.apus("config", "device", "set", "c1", "eth0", "limits.ingress=80Mbit")
                #expect(try must(["tc", "qdisc", "show", "dev", port]).text.contains("80Mbit"))
                try host.apus("config", "device", "unset", "c1", "eth0", "limits.max", "limits.ingress")
                #expect(try hostEnd("c1", host) == port, "it was taken out")
                #expect(try queue(port).kind != "tbf")
                #expect(try !must(["nft", "list", "tables"]).text.contains(port))
            }
        }

        private func checkLimited(_ host: TestHost) throws {
            let end = try hostEnd("c1", host)
            #expect(try queue(end).kind == "tbf")
            let table = "apus-\(host.id ?? "")-\(end)"
            #expect(try must(["nft", "list", "table", "netdev", table]).text.contains("limit rate over"))
            #expect(
                try must(["nft", "list", "tables"]).text.split(separator: "\n").count {
                    $0.contains("netdev apus-\(host.id ?? "")")
                } == 1)
        }

        private func hostEnd(_ name: String, _ host: TestHost, _ device: String = "eth0") throws -> String {
            try host.apus("config", "get", name, "volatile.\(device).host_name").text
        }

        private func queue(_ interface: String) throws -> (kind: String, waits: Int) {
            let shown = try JSON(must(["tc", "-s", "-j", "qdisc", "show", "dev", interface]).output).array
            let root = shown.first { $0["root"].bool == true }
            return (root?["kind"].string ?? "", root?["overlimits"].int ?? 0)
        }

        @Test func aContainerCannotSendFromAnAddressThatIsNotItsOwn() throws {
            try withNetwork("nic-filter") { host, network in
                let gateway = try host.apus("network", "get", network, "ipv4.address").text
                let own = String(gateway.split(separator: "/")[0])
                let parts = own.split(separator: ".").prefix(3).joined(separator: ".")
                try host.launchWithAddress("c1")
                func ping(from address: String = "") throws -> Bool {
                    let source = address.isEmpty ? [] : ["-I", address]
                    return try host.apus(
                        ["exec", "c1", "--", "busybox", "ping", "-c", "1", "-W", "2"] + source + [own],
                        expecting: nil
                    ).code == 0
                }
                #expect(try ping())
                let true_ = try host.exec("c1", "cat", "/sys/class/net/eth0/address")
                try host.exec("c1", "busybox", "ip", "link", "set", "eth0", "address", "00:16:3e:77:77:77")
                #expect(try ping(), "nothing is filtered yet")
                try host.apus("config", "device", "override", "c1", "eth0", "security.mac_filtering=true")
                #expect(try !ping())
                try host.exec("c1", "busybox", "ip", "link", "set", "eth0", "address", true_)
                #expect(try ping())

                let chosen = try host.address("c1")
                try host.exec("c1", "busybox", "ip", "addr", "add", "\(parts).201/24", "dev", "eth0")
                #expect(try ping(from: "\(parts).201"))
                try host.apus(
                    "config", "device", "set", "c1", "eth0", "ipv4.address=\(chosen)",
                    "security.ipv4_filtering=true")
                #expect(try host.lease("c1") == chosen)
                try host.exec("c1", "busybox", "ip", "addr", "add", "\(parts).201/24", "dev", "eth0")
                #expect(try ping(from: chosen))
                #expect(try !ping(from: "\(parts).201"))
            }
        }

        @Test func aConnectionThroughAPairOnNoBridgeSurvives() throws {
            try withNetwork("nic-p2p") { host, _ in
                let end = "app\(getpid())"
                try host.apus("init", try host.image(.busybox), "c1")
                try host.apus(
                    "config", "device", "add", "c1", "eth1", "nic", "nictype=p2p", "host_name=\(end)",
                    "ipv4.routes=198.18.79.2/32", "limits.max=1Gbit")
                try host.apus("start", "c1")
                let route = try JSON(must(["ip", "-j", "route", "get", "198.18.79.2"]).output).array.first
                let own = try #require(route?["prefsrc"].string)
                #expect(route?["dev"].string == end)
                try host.exec("c1", "busybox", "ip", "addr", "add", "198.18.79.2/32", "dev", "eth1")
                try host.exec("c1", "busybox", "ip", "route", "add", own, "dev", "eth1")
                try host.serveEcho(in: "c1")
                let client = try host.client(of: "198.18.79.2")
                try client.check("before")
                for cycle in 1...3 {
                    // What is said after a snapshot its restore would not know of.
                    try host.apus("snapshot", "c1", "s", "--stateful")
                    try host.apus("restore", "c1", "s")
                    try client.check("after restore \(cycle)")
                    try host.apus("snapshot", "c1", "s2", "--stateful")
                    try client.check("after snapshot \(cycle)")
                    for snapshot in ["s", "s2"] { try host.apus("delete", "c1/\(snapshot)") }
                    try host.apus("stop", "c1", "--stateful")
                    // Without the host's end there is no route: nothing may be sent meanwhile.
                    try host.apus("start", "c1")
                    try client.check("after start \(cycle)")
                    #expect(try hostEnd("c1", host, "eth1") == end)
                    #expect(try must(["tc", "qdisc", "show", "dev", end]).text.contains("tbf"))
                }
                try host.apus("delete", "c1", "--force")
                #expect(access("/sys/class/net/\(end)", F_OK) != 0)
            }
        }

        @Test func aConnectionThroughAMacvlanSurvives() throws {
            try withNetwork("nic-macvlan") { host, _ in
                let wire = try Wire()
                defer { wire.remove() }
                try host.apus("init", try host.image(.busybox), "c1")
                try host.apus(
                    "config", "device", "add", "c1", "eth1", "nic", "nictype=macvlan", "parent=\(wire.here)")
                try host.apus("start", "c1")
                try host.exec("c1", "busybox", "ip", "addr", "add", "198.18.78.2/24", "dev", "eth1")
                try host.serveEcho(in: "c1")
                let client = try Program(
                    ["ip", "netns", "exec", wire.name, "busybox", "nc", "198.18.78.2", "7000"], input: .open)
                client.keepsInputOpen = true
                defer { client.signal(SIGKILL) }
                func check(_ word: String) throws {
                    client.write(word + "\n")
                    try client.wait(for: "the echo of \(word)") { $0.contains(word + "\n") }
                }
                try check("before")
                let address = try host.exec("c1", "cat", "/sys/class/net/eth1/address")
                for cycle in 1...3 {
                    // What is said after a snapshot its restore would not know of.
                    try host.apus("snapshot", "c1", "s", "--stateful")
                    try host.apus("restore", "c1", "s")
                    try check("restored\(cycle)")
                    try host.apus("snapshot", "c1", "s2", "--stateful")
                    try check("saved\(cycle)")
                    for snapshot in ["s", "s2"] { try host.apus("delete", "c1/\(snapshot)") }
                    try host.apus("stop", "c1", "--stateful")
                    client.write("stopped\(cycle)\n")
                    try host.apus("start", "c1")
                    try check("started\(cycle)")
                    #expect(client.outputSoFar.contains("stopped\(cycle)\n"))
                    #expect(try host.exec("c1", "cat", "/sys/class/net/eth1/address") == address)
                }
                try host.apus("delete", "c1", "--force")

                // The kernel tells networkd of what is done to its interface; it has to have heard it by then.
                try host.launch(
                    .debian12, "d1", "-d", "eth1,type=nic,nictype=macvlan,parent=\(wire.here)")
                for _ in 1...3 {
                    try host.apus("snapshot", "d1", "s", "--stateful")
                    try host.apus("restore", "d1", "s")
                    try host.apus("delete", "d1/s")
                }
                #expect(try host.exec("d1", "systemctl", "is-active", "systemd-networkd") == "active")
            }
        }

        @Test func anInterfaceOfTheHostComesBackWhateverDies() throws {
            try withNetwork("nic-physical") { host, _ in
                let wire = try Wire()
                defer { wire.remove() }
                let path = "/sys/class/net/\(wire.here)"
                let address = text(of: path + "/address")
                try host.apus("init", try host.image(.busybox), "c1")
                try host.apus(
                    "config", "device", "add", "c1", "eth1", "nic", "nictype=physical", "parent=\(wire.here)",
                    "hwaddr=00:16:3e:55:55:55", "mtu=1400")
                func lent() throws {
                    #expect(access(path, F_OK) != 0, "the host still has it")
                    #expect(try host.exec("c1", "cat", "/sys/class/net/eth1/address") == "00:16:3e:55:55:55")
                    #expect(try host.exec("c1", "cat", "/sys/class/net/eth1/mtu") == "1400")
                }
                func back(_ when: String) throws {
                    try eventually("\(wire.here) to be back \(when)") { access(path + "/address", F_OK) == 0 }
                    #expect(text(of: path + "/address") == address && text(of: path + "/mtu") == "1500\n")
                    #expect(
                        host.state.mounts.filter { $0.contains("/runtime/c1/") && $0.hasSuffix("/network") }
                            .isEmpty)
                }
                try host.apus("start", "c1")
                try lent()
                let refused = try host.apus("snapshot", "c1", "s", "--stateful", expecting: nil)
                #expect(
                    refused.code != 0 && refused.complaint.contains("host's interface \(wire.here)"),
                    "\(refused)")
                #expect(try host.apus("stop", "c1", "--stateful", expecting: nil).code != 0)
                try lent()
                try host.apus("init", try host.image(.busybox), "c2")
                try host.apus(
                    "config", "device", "add", "c2", "eth1", "nic", "nictype=physical", "parent=\(wire.here)")
                let second = try host.apus("start", "c2", expecting: nil)
                #expect(
                    second.code != 0 && second.complaint.contains("another container may have it"),
                    "\(second)")

                // Taken out and put in while it runs.
                try host.apus("config", "device", "remove", "c1", "eth1")
                try back("when it was taken out")
                try host.apus(
                    "config", "device", "add", "c1", "eth1", "nic", "nictype=physical", "parent=\(wire.here)",
                    "hwaddr=00:16:3e:55:55:55", "mtu=1400")
                try lent()
                try host.apus("stop", "c1", "--force")
                try back("after a stop")

                try host.apus("start", "c1")
                for pid in host.state.runtimes { kill(pid, SIGKILL) }
                try back("after the end of its runtime")
                try eventually("c1 to be stopped") { try host.status(of: "c1") == "Stopped" }

                // Nobody is left who could give it back, until the daemon starts.
                try host.apus("start", "c1")
                let first = try host.query("/1.0/instances/c1/state")["pid"].int ?? 0
                let runtimes = host.state.runtimes
                try host.killDaemon()
                for pid in runtimes { kill(pid, SIGKILL) }
                kill(pid_t(first), SIGKILL)
                try host.startDaemon()
                try back("after the end of everything")

                // The daemon is away when the container ends: its runtime gives it back.
                try host.apus("start", "c1")
                let pid = try host.query("/1.0/instances/c1/state")["pid"].int ?? 0
                try host.killDaemon()
                kill(pid_t(pid), SIGKILL)
                try back("while there is no daemon")
                try host.startDaemon()
            }
        }
    }
}
